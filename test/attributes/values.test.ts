import test from "ava";
import fc from "fast-check";
import { Duration, maxDurationSeconds } from "../../src/attributes/duration.ts";
import { Cidr, Ip } from "../../src/attributes/ip.ts";
import { maxTimestampSeconds, minTimestampSeconds, Timestamp } from "../../src/attributes/timestamp.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

test("a timestamp lies in the years 1 to 9999", (t) => {
  t.is(String(Timestamp.of(minTimestampSeconds, 0)), "0001-01-01T00:00:00Z");
  t.is(String(Timestamp.of(maxTimestampSeconds, 999_999_999)), "9999-12-31T23:59:59.999999999Z");
  t.is(Timestamp.of(minTimestampSeconds - 1, 0), undefined);
  t.is(Timestamp.of(maxTimestampSeconds + 1, 0), undefined);
  for (const nanos of [-1, 1e9, 0.5, NaN]) t.is(Timestamp.of(0, nanos), undefined);
});

test("milliseconds become a timestamp to the nanosecond", (t) => {
  t.deepEqual(Timestamp.fromMs(-0.5), Timestamp.of(-1, 999_500_000));
  t.deepEqual(Timestamp.fromMs(1999.9999999), Timestamp.of(2, 0));
  t.is(Timestamp.fromMs(1500)?.ms, 1500);
  t.is(Timestamp.fromMs(NaN), undefined);
});

test("timestamps are read by RFC 3339 and compared as instants", (t) => {
  const utc = Timestamp.parse("2026-01-01T00:00:00Z")!;
  t.is(Timestamp.parse("2026-01-01T01:30:00+01:30")?.compare(utc), 0);
  t.true(Timestamp.parse("2026-01-01T00:00:00.000000001z")!.compare(utc) > 0);
  for (const text of [
    "2026-01-01",
    "2026-13-01T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+24:00",
  ]) {
    t.is(Timestamp.parse(text), undefined, text);
  }
});

test("instants that Date knows are read as Date reads them", (t) => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date("0001-01-01T00:00:00Z"),
        max: new Date("9999-12-31T23:59:59.999Z"),
        noInvalidDate: true,
      }),
      (date) => {
        const stamp = Timestamp.parse(date.toISOString())!;
        return stamp.seconds === Math.floor(date.getTime() / 1000) && stamp.ms === date.getTime();
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

test("a duration keeps its parts of one sign and within 10,000 years", (t) => {
  t.truthy(Duration.of(maxDurationSeconds, 0));
  t.is(Duration.of(maxDurationSeconds + 1, 0), undefined);
  t.is(Duration.of(1, -1), undefined);
  t.is(Duration.of(-1, 1), undefined);
  t.is(Duration.of(0.5, 0), undefined);
  t.is(String(Duration.of(-1, -5_000_000)), "-1.005s");
  t.is(String(Duration.of(0, -1)), "-0.000000001s");
  t.deepEqual(Duration.fromMs(-0.5), Duration.of(0, -500_000));
});

test("durations are read in the units of Go", (t) => {
  const cases: [string, bigint][] = [
    ["1h1m1s1ms1us1ns", 3_661_001_001_001n],
    ["1µs", 1000n],
    ["1μs", 1000n],
    [".5s", 500_000_000n],
    ["1.s", 1_000_000_000n],
    ["+1.5h", 5_400_000_000_000n],
    ["-2m", -120_000_000_000n],
    ["0", 0n],
  ];
  for (const [text, nanos] of cases) t.is(Duration.parse(text)?.toNanos(), nanos, text);
  for (const text of ["", "s", "1", "1d", "1s-1s", ".s", "1 s", `${"9".repeat(50)}h`, "1s".repeat(100)]) {
    t.is(Duration.parse(text), undefined, text);
  }
});

test("an IPv4 address in IPv6 form is the IPv4 address", (t) => {
  const mapped = Ip.fromBytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1))!;
  t.is(mapped.family, 4);
  t.true(mapped.equals(Ip.parse("10.0.0.1")!));
  t.is(String(mapped), "10.0.0.1");
});

test("an address is read from a part of a buffer and copied", (t) => {
  const buffer = Uint8Array.of(9, 10, 0, 0, 1, 9);
  const ip = Ip.fromBytes(buffer, 1, 5)!;
  buffer.fill(0);
  t.is(String(ip), "10.0.0.1");
  t.is(Ip.fromBytes(buffer, 1, 4), undefined);
  t.is(Ip.fromBytes(buffer), undefined);
});

test("an IPv6 address is written by RFC 5952", (t) => {
  t.is(String(Ip.parse("2001:0DB8:0:0:0:0:0:1")), "2001:db8::1");
  t.is(String(Ip.parse("::")), "::");
});

const ranges: [range: string, ip: string, holds: boolean][] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["10.1.2.3/8", "10.9.9.9", true],
  ["10.0.0.0/8", "::ffff:10.1.1.1", true],
  ["::ffff:10.0.0.0/104", "10.1.1.1", true],
  ["0.0.0.0/0", "255.255.255.255", true],
  ["0.0.0.0/0", "::1", false],
  ["::/0", "::1", true],
  ["10.0.0.128/25", "10.0.0.127", false],
  ["10.0.0.128/25", "10.0.0.200", true],
  ["10.0.0.1", "10.0.0.1", true],
  ["10.0.0.1", "10.0.0.2", false],
  ["2001:db8::/32", "2001:db8:ffff::", true],
  ["2001:db8::/32", "2001:db9::", false],
];
for (const [range, ip, holds] of ranges) {
  test(`${range} ${holds ? "holds" : "does not hold"} ${ip}`, (t) => {
    t.is(Cidr.parse(range)?.contains(Ip.parse(ip)!), holds);
  });
}

for (const text of ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/08", "10.0.0/8", "::/129", "/8", "x"]) {
  test(`${text} is no range`, (t) => {
    t.is(Cidr.parse(text), undefined);
  });
}
