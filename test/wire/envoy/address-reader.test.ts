import test from "ava";
import fc from "fast-check";
import { Bag } from "../../../src/attributes/bag.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { Ip } from "../../../src/attributes/ip.ts";
import { AddressReader } from "../../../src/wire/envoy/address-reader.ts";
import { Address } from "../../../src/wire/gen/envoy/config/core/v3/address.ts";
import { Reader } from "../../../src/wire/protobuf/reader.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { layoutOf } from "../grpc/fake-session.ts";
import { hostileBytes } from "../hostile-bytes.ts";

const layout = layoutOf(["source.ip", "source.port"]);
const [ip, port] = ["source.ip", "source.port"].map((name) => layout.find(name)!) as [number, number];
const addresses = new AddressReader();

function read(message: Uint8Array): { readonly ip: unknown; readonly port: unknown } {
  const bag = new Bag(layout);
  // Behind the message lies what looks like more of it.
  const buffer = Buffer.concat([Buffer.of(0x0a), message, Buffer.alloc(20, 0x18)]);
  const reader = new Reader().reset(buffer, 1);
  addresses.read(reader, 1 + message.length, bag, ip, port);
  if (reader.pos !== 1 + message.length || reader.end !== buffer.length) throw new Error("the reader is elsewhere");
  return { ip: bag.peek(ip), port: bag.peek(port) };
}

const varint = (value: number): number[] => (value > 0x7f ? [(value & 0x7f) | 0x80, ...varint(value >>> 7)] : [value]);
const delimited = (tag: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(tag, ...varint(bytes.length)), bytes]);

const dotted = fc
  .array(fc.oneof(fc.nat(300).map(String), fc.constantFrom("", "0", "00", "01", "010", "255", "256", "1a", "-1")), {
    minLength: 3,
    maxLength: 5,
  })
  .map((parts) => parts.join("."));
const text = fc.oneof(
  { weight: 4, arbitrary: fc.ipV4() },
  fc.ipV6(),
  dotted,
  fc.constantFrom("", "x".repeat(200), "."),
);

test("addresses are read as the generated code and the parser of addresses read them, in any form", (t) => {
  const field = fc.oneof(
    { weight: 3, arbitrary: text.map((each) => delimited(0x12, Buffer.from(each))) },
    { weight: 3, arbitrary: fc.nat(70_000).map((each) => Buffer.of(0x18, ...varint(each))) },
    fc.constantFrom(Buffer.of(0x08, 1), delimited(0x3a, Buffer.from("?"))),
  );
  const usual = fc
    .tuple(text, fc.nat(70_000))
    .map(([address, number]) => [delimited(0x12, Buffer.from(address)), Buffer.of(0x18, ...varint(number))]);
  const fields = fc.oneof(usual, fc.array(field, { maxLength: 4 }));
  let found = 0;
  fc.assert(
    fc.property(fields, (parts) => {
      const message = delimited(0x0a, Buffer.concat(parts));
      const { address, portValue } = Address.decode(message).socketAddress!;
      const held = read(message);
      const known = address === "" ? undefined : (Ip.parse(address) ?? "a fault");
      t.deepEqual(held.ip instanceof Fault ? "a fault" : held.ip?.toString(), known?.toString());
      t.is(held.port ?? 0, portValue ?? 0);
      if (held.ip instanceof Ip) found++;
    }),
    { numRuns: fuzzRuns(1000) },
  );
  t.true(found > 0);
});

test("any bytes are an address or a clear error, and none behind them is read", (t) => {
  const good = Address.encode(
    Address.fromPartial({ socketAddress: { address: "10.1.2.3", portValue: 8080 } }),
  ).finish();
  fc.assert(
    fc.property(hostileBytes(good), (bytes) => {
      try {
        read(bytes);
      } catch (error) {
        t.true(error instanceof WeirError, String(error));
      }
    }),
    { numRuns: fuzzRuns(2000) },
  );
});
