import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { Duration } from "../../../src/attributes/duration.ts";
import { Ip } from "../../../src/attributes/ip.ts";
import { formatValue } from "../../../src/attributes/text.ts";
import { Timestamp } from "../../../src/attributes/timestamp.ts";
import type { Value } from "../../../src/attributes/value.ts";
import { createClient, createStreamClient, type Attributes, type CheckResult } from "../../../src/client/index.ts";
import type { Asked, Decision } from "../../../src/runtime/decision.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import type { DoorOptions } from "../../../src/wire/call.ts";
import { createMixerDoor } from "../../../src/wire/mixer/mixer-door.ts";
import { createStreamDoor } from "../../../src/wire/stream/stream-door.ts";
import { allowed, contents, fakeHub, noReads, refused, type FakeHub } from "../grpc/fake-session.ts";
import { controlled, recordingLog, recordingObserver, serve as serveDoors, type Served } from "../grpc/harness.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

type Behaviour = Parameters<typeof fakeHub>[0];

async function serve(t: ExecutionContext, behaviour: Behaviour = {}): Promise<Served & { hub: FakeHub }> {
  const hub = fakeHub(behaviour);
  const options: DoorOptions = { open: hub.open, observer: recordingObserver(), log: recordingLog() };
  return { ...(await serveDoors(t, [createMixerDoor(options), createStreamDoor(options)])), hub };
}

const makers = { Mixer: createClient, stream: createStreamClient };

for (const [door, create] of Object.entries(makers)) {
  test(`${door}: attributes of every type arrive as they were meant`, async (t) => {
    let bag: Record<string, unknown> = {};
    const reads = [
      ...["source.ip", "request.path", "request.size", "request.time", "response.duration", "connection.mtls"],
      ...["source.name", "source.namespace", "destination.ip", "request.headers[*]", "destination.labels[app]"],
    ];
    const { address, hub } = await serve(t, { reads, check: (given) => ((bag = contents(given)), allowed()) });
    const client = create({ address });
    t.teardown(() => client.close());
    const result = await client.check({
      "source.ip": "2001:db8::1",
      "destination.ip": Uint8Array.of(10, 0, 0, 1),
      "request.path": "/ü\u0000?x",
      "request.size": 2n ** 63n - 1n,
      "request.time": new Date(1_500_000_000_123),
      "response.duration": Duration.of(-1, -5)!,
      "connection.mtls": false,
      "source.name": "",
      "request.headers": { "x-key": "k", "": "", host: "request.path" },
      "destination.labels": new Map([["app", "ratings"]]),
    });
    t.true(result.allowed);
    t.deepEqual(bag, {
      "source.ip": Ip.parse("2001:db8::1"),
      "destination.ip": Ip.parse("10.0.0.1"),
      "request.path": "/ü\u0000?x",
      "request.size": 2n ** 63n - 1n,
      "request.time": Timestamp.of(1_500_000_000, 123_000_000),
      "response.duration": Duration.of(-1, -5),
      "connection.mtls": false,
      "source.name": "",
      "request.headers": new Map([
        ["x-key", "k"],
        ["", ""],
        ["host", "request.path"],
      ]),
      "destination.labels": new Map(),
      "destination.labels[app]": "ratings",
    });
    t.is(hub.live, 0);
  });

  test(`${door}: a refusal comes with everything the door tells`, async (t) => {
    const { address } = await serve(t, {
      check: (bag) => {
        bag.get(bag.layout.find("request.path")!);
        bag.get(bag.layout.find("source.namespace")!);
        bag.get(bag.layout.keysOf("request.headers")!.get("x-none")!);
        bag.get(bag.layout.keysOf("request.headers")!.get("x-key")!);
        return refused({
          http: { status: 302, body: "go", headers: [{ name: "location", value: "/there" }] },
          validForMs: 1500,
          validUses: 7,
          reads: bag.reads(),
        });
      },
    });
    const client = create({ address });
    t.teardown(() => client.close());
    const result = await client.check({ "request.path": "/x", "request.headers": { "x-key": "k" } });
    t.like(result, {
      allowed: false,
      code: 7,
      message: "only reviews may call ratings",
      http: { status: 302, body: "go" },
      validForMs: 1500,
      validUses: 7,
    });
    t.deepEqual(
      [...result.referenced].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      [
        { name: "request.headers", key: "x-key", condition: "present" },
        { name: "request.headers", key: "x-none", condition: "absent" },
        { name: "request.path", condition: "present" },
        { name: "source.namespace", condition: "absent" },
      ] as CheckResult["referenced"],
    );
    t.deepEqual(result.http?.headers, door === "stream" ? [{ name: "location", value: "/there" }] : undefined);
    t.deepEqual(result.rules, door === "stream" ? ["ratings/only-reviews"] : []);
  });

  test(`${door}: header operations come in their order`, async (t) => {
    const { address } = await serve(t, {
      check: () =>
        allowed({
          requestHeaders: [
            { operation: "set", name: "a", value: "1" },
            { operation: "remove", name: "b", value: "" },
          ],
          responseHeaders: [{ operation: "append", name: "c", value: "2" }],
        }),
    });
    const client = create({ address });
    t.teardown(() => client.close());
    const { requestHeaders, responseHeaders } = await client.check({});
    t.deepEqual(requestHeaders, [
      { operation: "set", name: "a", value: "1" },
      { operation: "remove", name: "b", value: "" },
    ]);
    t.deepEqual(responseHeaders, [{ operation: "append", name: "c", value: "2" }]);
  });

  for (const { granted, wish, passes } of [
    { granted: 3, wish: 3, passes: true },
    { granted: 2, wish: 3, passes: false },
    { granted: 2, wish: { amount: 3, bestEffort: true }, passes: true },
    { granted: 0, wish: { amount: 3, bestEffort: true }, passes: false },
    { granted: 0, wish: 0, passes: true },
  ]) {
    test(`${door}: of ${JSON.stringify(wish)}, ${granted} granted ${passes ? "passes" : "does not pass"}`, async (t) => {
      let asked: Asked = {};
      const outcome = {
        granted,
        validForMs: 1000,
        code: granted > 0 || passes ? 0 : 8,
        message: "none left",
        reads: noReads,
      };
      const { address } = await serve(t, {
        check: (_, a) => ((asked = a), allowed({ quotas: new Map([["q", outcome]]) })),
      });
      const client = create({ address });
      t.teardown(() => client.close());
      const result = await client.check({}, { quotas: { q: wish }, dedupId: "d" });
      t.is(result.allowed, passes);
      t.is(result.code, passes ? 0 : 8);
      t.is(result.quotas.get("q")!.granted, granted);
      t.like(asked, {
        dedupId: "d",
        quotas: new Map([["q", typeof wish === "number" ? { amount: wish, bestEffort: false } : wish]]),
      });
    });
  }

  test(`${door}: a quota that the answer does not mention was not granted`, async (t) => {
    const { address } = await serve(t);
    const client = create({ address });
    t.teardown(() => client.close());
    t.like(await client.check({}, { quotas: { q: 1 } }), { allowed: false, code: 8, message: "quota q is exhausted" });
  });

  for (const { title, attributes, code, message } of [
    {
      title: "an unknown attribute",
      attributes: { "request.pth": "/" },
      code: "WEIR_REQUEST_ATTRIBUTE",
      message: /request\.pth.*did you mean request\.path/,
    },
    {
      title: "a value of another type",
      attributes: { "source.ip": "nowhere" },
      code: "WEIR_REQUEST_ATTRIBUTE",
      message: /source\.ip is not of type ip/,
    },
    {
      title: "an object where no map is",
      attributes: { "request.path": new Map() },
      code: "WEIR_REQUEST_ATTRIBUTE",
      message: /string/,
    },
  ] as { title: string; attributes: Attributes; code: string; message: RegExp }[]) {
    test(`${door}: ${title} is refused before anything is sent`, async (t) => {
      const { address, hub } = await serve(t);
      const client = create({ address });
      t.teardown(() => client.close());
      const error = await t.throwsAsync(client.check(attributes), { instanceOf: WeirError, code });
      t.regex(error.message, message);
      t.is(hub.opened, 0);
      // What was refused took no word of the dictionary along.
      await client.check({ "request.path": "/x" });
    });
  }

  test(`${door}: a hub that is not there is WEIR_UNREACHABLE`, async (t) => {
    const { address, server } = await serve(t);
    await server.drain(AbortSignal.abort());
    const client = create({ address });
    t.teardown(() => client.close());
    const error = await t.throwsAsync(client.check({}), { instanceOf: WeirError, code: "WEIR_UNREACHABLE" });
    t.true(error.message.includes(address));
  });

  test(`${door}: records arrive each on its own`, async (t) => {
    const seen: Record<string, unknown>[] = [];
    const { address } = await serve(t, { report: (bag) => (seen.push(contents(bag)), "taken") });
    const client = create({ address });
    t.teardown(() => client.close());
    await client.report([{ "request.path": "/a", "request.size": 1 }, { "request.path": "/b" }, {}]);
    t.deepEqual(seen, [{ "request.path": "/a", "request.size": 1 }, { "request.path": "/b" }, {}]);
  });
}

test("stream: whatever is sent in a row, the hub sees the same", async (t) => {
  let bag: Record<string, unknown> = {};
  const { address } = await serve(t, {
    reads: ["request.path", "source.namespace", "request.headers[*]"],
    check: (given) => ((bag = contents(given)), allowed()),
  });
  const client = createStreamClient({ address });
  t.teardown(() => client.close());
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 8 }),
    fc.constantFrom("source.namespace", "request.path", "x-key", "GET"),
    // Large ones fill the dictionary, so that it begins anew.
    fc.nat(99).map((n) => String(n).repeat(3000)),
  );
  const requests = fc.record(
    {
      "request.path": text,
      "source.namespace": text,
      "request.headers": fc
        .dictionary(text, text, { maxKeys: 4, noNullPrototype: true })
        .map((d) => new Map(Object.entries(d))),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(requests, { minLength: 1, maxLength: 10 }), async (sequence) => {
      for (const attributes of sequence) {
        await client.check(attributes);
        const shown = (values: Record<string, unknown>) =>
          Object.entries(values)
            .map(([name, value]) => `${name}=${formatValue(value as Value)}`)
            .sort();
        t.deepEqual(shown(bag), shown(attributes));
      }
    }),
    { numRuns: fuzzRuns(60) },
  );
});

test("stream: many calls share one stream, and a slow one holds nobody", async (t) => {
  const slow = controlled<Decision>();
  const { address, observer } = await serve(t, {
    check: (bag) => (contents(bag)["request.path"] === "/slow" ? slow.promise : allowed()),
  });
  const client = createStreamClient({ address, deadlineMs: 60_000 });
  const first = client.check({ "request.path": "/slow" });
  const others = await Promise.all(Array.from({ length: 500 }, (_, i) => client.check({ "request.path": `/${i}` })));
  t.true(others.every((result) => result.allowed));
  slow.resolve(refused());
  t.false((await first).allowed);
  client.close();
  t.deepEqual(observer.calls, []);
});

test("stream: calls beyond the bound are WEIR_CLIENT_BUSY", async (t) => {
  const slow = controlled<Decision>();
  const { address } = await serve(t, { check: () => slow.promise });
  const client = createStreamClient({ address, maxInFlight: 2 });
  t.teardown(() => client.close());
  const waiting = [client.check({}), client.check({})];
  await t.throwsAsync(client.check({}), { code: "WEIR_CLIENT_BUSY" });
  slow.resolve(allowed());
  await Promise.all(waiting);
  await client.check({});
});

test("stream: a call that is not answered in time fails, and its late answer hurts nobody", async (t) => {
  const slow = controlled<Decision>();
  const asked = controlled<void>();
  const jobs: (() => void)[] = [];
  const timers = {
    after(ms: number, job: () => void) {
      t.is(ms, 250);
      jobs.push(job);
      return () => {};
    },
  };
  let n = 0;
  const { address } = await serve(t, {
    check: () => {
      if (n++ > 0) return allowed();
      asked.resolve();
      return slow.promise;
    },
  });
  const client = createStreamClient({ address, deadlineMs: 250, timers });
  t.teardown(() => client.close());
  const late = client.check({ "request.path": "/late" });
  await asked.promise;
  jobs[0]!();
  await t.throwsAsync(late, { code: "WEIR_UNREACHABLE", message: /did not answer within 250 ms/ });
  slow.resolve(refused());
  t.true((await client.check({ "request.path": "/late" })).allowed);
});

test("stream: when the hub stops, what waits fails; a new hub at the same address is found", async (t) => {
  const asked = controlled<void>();
  const { address, server } = await serve(t, { check: () => (asked.resolve(), new Promise<Decision>(() => {})) });
  const client = createStreamClient({ address });
  t.teardown(() => client.close());
  const waiting = client.check({ "request.path": "/x" });
  await asked.promise;
  await server.drain(AbortSignal.abort());
  await t.throwsAsync(waiting, { code: "WEIR_UNREACHABLE" });

  const seen: unknown[] = [];
  const next = await serve(t, { check: (bag) => (seen.push(contents(bag)["request.path"]), allowed()) });
  const second = createStreamClient({ address: next.address });
  t.teardown(() => second.close());
  t.true((await second.check({ "request.path": "/x" })).allowed);
  t.deepEqual(seen, ["/x"]);
});

test("stream: a client that is closed fails what waits", async (t) => {
  const asked = controlled<void>();
  const { address } = await serve(t, { check: () => (asked.resolve(), new Promise<Decision>(() => {})) });
  const client = createStreamClient({ address });
  const waiting = client.check({});
  await asked.promise;
  client.close();
  await t.throwsAsync(waiting, { code: "WEIR_UNREACHABLE", message: /closed/ });
});

test("stream: after a message that the hub could not read, the next ones are read", async (t) => {
  const { address } = await serve(t, { check: () => allowed() });
  const client = createStreamClient({ address });
  t.teardown(() => client.close());
  await client.check({ "request.path": "/a" });
  // One word above what the hub's dictionary holds.
  await t.throwsAsync(client.check({ "request.path": "x".repeat(300_000) }), { code: "WEIR_STREAM_DICTIONARY" });
  t.true((await client.check({ "request.path": "/a" })).allowed);
});

test("stream: report tells what was taken, what was not and what was broken", async (t) => {
  let room = 2;
  const { address } = await serve(t, { report: () => (room-- > 0 ? "taken" : "full") });
  const client = createStreamClient({ address });
  t.teardown(() => client.close());
  t.deepEqual(await client.report([{}, {}, {}, {}]), { taken: 2, notTaken: 2, broken: 0, errors: [] });
});

test("Mixer: records that were not taken reject", async (t) => {
  const { address } = await serve(t, { report: () => "full" });
  const client = createClient({ address });
  t.teardown(() => client.close());
  await t.throwsAsync(client.report([{}, {}]), { code: "WEIR_REPORT_NOT_TAKEN" });
});
