import test from "ava";
import fc from "fast-check";
import { HoldResponse, RefundRequest, ReleaseRequest, RenewRequest } from "../../../src/wire/gen/weir/v1/weir.ts";
import type { HoldAsked } from "../../../src/runtime/limits/holds.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import type { Call } from "../../../src/wire/call.ts";
import { holdMethods } from "../../../src/wire/stream/hold-methods.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { fakeHub } from "../grpc/fake-session.ts";

const id = "0123456789abcdef".repeat(2);
const call = {} as Call;

/** The methods over a hub that answers with one limit, and what it was asked. */
function methods() {
  const asked: HoldAsked[] = [];
  const hub = fakeHub({
    hold(wanted) {
      asked.push(wanted);
      return Promise.resolve([{ rule: "p/r", units: 1.5, ...(wanted.kind === "renew" ? { forMs: 90_250 } : {}) }]);
    },
  });
  const all = holdMethods({ open: hub.open });
  return { hub, asked, run: async (name: string, bytes: Uint8Array) => all.get(`/weir.v1.Weir/${name}`)!(bytes, call) };
}

test("what is asked reaches the hub, and its answer the caller", async (t) => {
  const { asked, run, hub } = methods();
  const refund = { id, limit: "p/r", amount: 7n };
  const released = HoldResponse.decode(await run("Release", ReleaseRequest.encode({ id }).finish()));
  const renewed = HoldResponse.decode(
    await run("Renew", RenewRequest.encode({ id, ttl: { seconds: 90n, nanos: 250_000_000 } }).finish()),
  );
  await run("Renew", RenewRequest.encode({ id, ttl: undefined }).finish());
  await run("Refund", RefundRequest.encode(refund).finish());
  await run("Refund", RefundRequest.encode({ id, limit: "", amount: 0n }).finish());
  t.deepEqual(released.limits, [{ rule: "p/r", units: 1.5, validFor: undefined }]);
  t.deepEqual(renewed.limits, [{ rule: "p/r", units: 1.5, validFor: { seconds: 90n, nanos: 250_000_000 } }]);
  t.deepEqual(asked, [
    { kind: "release", id },
    { kind: "renew", id, forMs: 90_250 },
    { kind: "renew", id },
    { kind: "refund", id, rule: "p/r", amount: 7 },
    { kind: "refund", id },
  ]);
  t.is(hub.live, 0);
});

test("what is no request is told, and asks nothing of the hub", async (t) => {
  const { asked, run } = methods();
  const wrong: [string, Uint8Array][] = [
    ["Release", ReleaseRequest.encode({ id: "x" }).finish()],
    ["Release", new Uint8Array(0)],
    ["Renew", RenewRequest.encode({ id, ttl: { seconds: 0n, nanos: 0 } }).finish()],
    ["Renew", RenewRequest.encode({ id, ttl: { seconds: -5n, nanos: 0 } }).finish()],
    ["Refund", RefundRequest.encode({ id, limit: "", amount: -1n }).finish()],
    ["Refund", RefundRequest.encode({ id, limit: "r".repeat(301), amount: 1n }).finish()],
  ];
  for (const [name, bytes] of wrong) await t.throwsAsync(run(name, bytes), { code: "WEIR_REQUEST_MALFORMED" });
  t.deepEqual(asked, []);
});

test("any bytes are a request or an error that says so", async (t) => {
  const { run, hub } = methods();
  const valid = RefundRequest.encode({ id, limit: "p/r", amount: 7n }).finish();
  const flipped = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => {
    const bytes = Uint8Array.from(valid);
    bytes[at] = byte;
    return bytes;
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("Release", "Renew", "Refund"),
      fc.oneof(fc.uint8Array({ maxLength: 80 }), flipped),
      async (name, bytes) => {
        try {
          await run(name, bytes);
        } catch (error) {
          if (!(error instanceof WeirError)) throw error;
        }
      },
    ),
    { numRuns: fuzzRuns(500) },
  );
  t.is(hub.live, 0);
});
