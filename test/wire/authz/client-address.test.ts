import test from "ava";
import fc from "fast-check";
import { Fault } from "../../../src/attributes/fault.ts";
import { Cidr, Ip } from "../../../src/attributes/ip.ts";
import { clientAddress, isTrusted } from "../../../src/wire/authz/client-address.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const trusted = ["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"].map((text) => Cidr.parse(text)!);

const cases: readonly (readonly [hops: string, expected: string | undefined])[] = [
  ["203.0.113.7", "203.0.113.7"],
  ["6.6.6.6, 203.0.113.7", "203.0.113.7"],
  ["6.6.6.6, 203.0.113.7, 10.1.2.3,10.0.0.1", "203.0.113.7"],
  ["203.0.113.7:51234", "203.0.113.7"],
  ["2001:db8::7", "2001:db8::7"],
  ["[2001:db8::7]", "2001:db8::7"],
  ["[2001:DB8::7]:443, 2001:db8:1::1", "2001:db8::7"],
  ["::ffff:203.0.113.7, ::ffff:10.0.0.1", "203.0.113.7"],
  ["10.0.0.9, 10.0.0.1", "10.0.0.9"],
  ["", undefined],
  [" , ,\t", undefined],
  ["6.6.6.6,,203.0.113.7, ,10.0.0.1,", "203.0.113.7"],
  ["garbage, 203.0.113.7", "203.0.113.7"],
  ["203.0.113.7, garbage, 10.0.0.1", "fault"],
  ["unknown", "fault"],
  ["_hidden", "fault"],
  ["203.0.113.7:", "fault"],
  ["203.0.113.7:123456", "fault"],
  ["203.0.113.7 10.0.0.1", "fault"],
  ["[203.0.113.7]", "fault"],
  ["[2001:db8::7", "fault"],
  ["2001:db8::7%eth0", "fault"],
  ["0x7f.1", "fault"],
  ["010.0.0.1", "fault"],
  ["127.1", "fault"],
  ['for="203.0.113.7"', "fault"],
];

for (const [hops, expected] of cases) {
  test(`the hops ${JSON.stringify(hops)} come from ${expected ?? "nowhere"}`, (t) => {
    const address = clientAddress(hops, trusted);
    if (expected === "fault") t.true(address instanceof Fault);
    else t.is(address?.toString(), expected);
  });
}

const ip = fc.oneof(fc.ipV4(), fc.ipV6());
const proxy = fc.constantFrom("10.0.0.1", "127.0.0.1", "2001:db8:1::5", "[2001:db8:1::5]:80", "10.9.9.9:1");
const stranger = ip.filter((text) => !isTrusted(trusted, Ip.parse(text)!));

test("whatever stands left of the first stranger, it is the stranger that counts", (t) => {
  const property = fc.property(fc.string(), stranger, fc.array(proxy), (left, address, proxies) => {
    const found = clientAddress([left, address, ...proxies].join(", "), trusted);
    t.true(found instanceof Ip && found.equals(Ip.parse(address)!));
  });
  t.notThrows(() => fc.assert(property, { numRuns: fuzzRuns(300) }));
});

test("no text gives an address that its last hop did not name, unless a trusted proxy wrote that hop", (t) => {
  const hop = fc.oneof(ip, proxy, fc.string(), fc.constantFrom("", " ", "unknown", "[::1", "1.2.3.4:x"));
  const property = fc.property(fc.array(hop), (hops) => {
    const found = clientAddress(hops.join(","), trusted);
    const last = hops
      .join(",")
      .split(",")
      .filter((each) => each.trim() !== "")
      .at(-1);
    if (last === undefined) t.is(found, undefined);
    else if (Ip.parse(last.trim()) === undefined && !/:\d+$/.test(last.trim()) && !last.includes("["))
      t.true(found instanceof Fault);
    else t.not(found, undefined);
  });
  t.notThrows(() => fc.assert(property, { numRuns: fuzzRuns(300) }));
});

test("ten thousand hops of trusted proxies lead to the first", (t) => {
  const hops = ["10.7.7.7", ...new Array<string>(10_000).fill("10.0.0.1")].join(",");
  t.is(clientAddress(hops, trusted)?.toString(), "10.7.7.7");
});
