import test from "ava";
import fc from "fast-check";
import { fuzzRuns } from "../fuzz-runs.ts";
import { snapshotOf, TestHub } from "./hub.ts";
import { bagOf, recordOf, type Attributes } from "../attributes/bag-of.ts";
import { Bag } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";

/** The attributes that have a value. */
function present(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** A value of the wrong type on the wire. */
const wrong = new Fault("wrong wire type");

const metricRule = (rest: string): string => `
policy: p
report:
  - metric: m
    type: counter
    labels: { path: request.path }
${rest.replace(/^/gm, "    ")}
`;

const sample = "m{path=/a} 1";

for (const [rest, attributes, expected, told] of [
  ["", {}, true, []],
  ['when: request.host == "x"', { "request.host": "x" }, true, []],
  ['when: request.host == "x"', { "request.host": "y" }, false, []],
  ['when: request.host == "x"', {}, false, []],
  ['when: request.host == "x"', { "request.host": wrong }, false, ["fault p/m when"]],
  ["when: 1 / request.size == 1", { "request.size": 0 }, false, ["fault p/m when"]],
  ['unless: request.host == "x"', { "request.host": "x" }, false, []],
  ['unless: request.host == "x"', { "request.host": "y" }, true, []],
  ['unless: request.host == "x"', {}, true, ["absence p/m unless"]],
  ['unless: request.host == "x"', { "request.host": wrong }, true, ["fault p/m unless"]],
  ['when: request.size > 0\nunless: request.host == "x"', { "request.size": 1, "request.host": "x" }, false, []],
] as [string, Attributes, boolean, string[]][]) {
  test(`a metric rule with ${JSON.stringify(rest)} and ${JSON.stringify(attributes)}: ${expected ? "counts" : "does not"}`, async (t) => {
    const found = await TestHub.samplesOf(metricRule(rest), { "request.path": "/a", ...attributes });
    t.deepEqual(found.samples, expected ? [sample] : []);
    t.deepEqual(found.told, told);
  });
}

for (const [match, attributes, expected, told] of [
  ['request.host == "x"', { "request.host": "x" }, true, []],
  ['request.host == "x"', { "request.host": "y" }, false, []],
  ['request.host == "x"', {}, false, []],
  ['request.host == "x"', { "request.host": wrong }, false, ["fault p/m match"]],
  ['request.host == "x" && request.size > 1', { "request.host": "x", "request.size": 1 }, false, []],
  ['request.host == "x" && request.size > 1', { "request.host": "x", "request.size": 2 }, true, []],
  ["request.size / 0 == 1", { "request.size": 1 }, false, ["fault p/m match"]],
] as [string, Attributes, boolean, string[]][]) {
  test(`a policy with match ${match} and ${JSON.stringify(attributes)}: ${expected ? "counts" : "does not"}`, async (t) => {
    const policy = metricRule("").replace("report:", `match: ${match}\nreport:`);
    const found = await TestHub.samplesOf(policy, { "request.path": "/a", ...attributes });
    t.deepEqual(found.samples, expected ? [sample] : []);
    t.deepEqual(found.told, told);
  });
}

test("a policy that only observes records as any other", async (t) => {
  const found = await TestHub.samplesOf(metricRule("").replace("report:", "mode: observe\nreport:"), {
    "request.path": "/a",
  });
  t.deepEqual(found.samples, [sample]);
});

test("a namespace is part of the match", async (t) => {
  const policy = metricRule("").replace("report:", "namespace: shop\nreport:");
  const record = { "request.path": "/a", "destination.namespace": "shop" };
  t.deepEqual((await TestHub.samplesOf(policy, record)).samples, [sample]);
  t.deepEqual((await TestHub.samplesOf(policy, { ...record, "destination.namespace": "other" })).samples, []);
});

for (const [label, attributes, text, told] of [
  ["request.path", { "request.path": "/a" }, "/a", []],
  ["request.path", { "request.path": "" }, "", []],
  ["response.code", { "response.code": 503 }, "503", []],
  ["response.code", { "response.code": -1 }, "-1", []],
  ["response.code", { "response.code": "9223372036854775807" }, "9223372036854775807", []],
  ["connection.mtls", { "connection.mtls": true }, "true", []],
  ["source.ip", { "source.ip": "::ffff:10.0.0.1" }, "10.0.0.1", []],
  ["response.duration", { "response.duration": "1.5s" }, "1.500s", []],
  ["request.time", { "request.time": "2026-01-02T03:04:05Z" }, "2026-01-02T03:04:05Z", []],
  ["request.headers['x']", { "request.headers": { x: "y" } }, "y", []],
  ["request.headers['x']", { "request.headers": {} }, "unknown", []],
  ["request.headers['x']", {}, "unknown", []],
  ['"constant"', {}, "constant", []],
  ["request.path + '!'", { "request.path": "/a" }, "/a!", []],
  ["request.path", {}, "unknown", []],
  ["request.path", { "request.path": wrong }, "unknown", ["fault p/m label"]],
  ["string(1 / request.size)", { "request.size": 0 }, "unknown", ["fault p/m label"]],
] as [string, Attributes, string, string[]][]) {
  test(`a label ${label} of ${JSON.stringify(attributes)} says ${JSON.stringify(text)}`, async (t) => {
    const policy = `
policy: p
report:
  - metric: m
    type: counter
    labels: { x: ${JSON.stringify(label)} }
`;
    const found = await TestHub.samplesOf(policy, attributes);
    t.deepEqual(found.samples, [`m{x=${text}} 1`]);
    t.deepEqual(found.told, told);
  });
}

for (const [type, rest, attributes, expected, told] of [
  ["counter", "value: request.size", { "request.size": 5 }, "5", []],
  ["counter", "value: request.size", { "request.size": "9007199254740993" }, "9007199254740992", []],
  ["counter", "value: request.size", {}, undefined, ["absence p/m value"]],
  ["counter", "value: request.size", { "request.size": wrong }, undefined, ["fault p/m value"]],
  ["counter", "value: request.size", { "request.size": -1 }, undefined, ["dropped metric_sample negative 1"]],
  [
    "counter",
    "value: double(request.size) / 0.0",
    { "request.size": 1 },
    undefined,
    ["dropped metric_sample not_a_number 1"],
  ],
  ["counter", "value: response.duration", { "response.duration": "1.5s" }, "1.5", []],
  ["counter", "value: response.duration\nunit: ms", { "response.duration": "1.5s" }, "1500", []],
  ["gauge", "value: request.size", { "request.size": -1 }, "-1", []],
  ["gauge", "value: double(request.size) / 0.0", { "request.size": 1 }, "Infinity", []],
  [
    "gauge",
    "value: double(request.size) / 0.0",
    { "request.size": 0 },
    undefined,
    ["dropped metric_sample not_a_number 1"],
  ],
  ["histogram", "value: request.size\nbuckets: [1, 2]", { "request.size": -1 }, "-1", []],
  [
    "histogram",
    "value: double(request.size) / 0.0\nbuckets: [1]",
    { "request.size": 1 },
    undefined,
    ["dropped metric_sample not_a_number 1"],
  ],
] as [string, string, Attributes, string | undefined, string[]][]) {
  test(`a ${type} with ${JSON.stringify(rest)} of ${JSON.stringify(attributes)}: ${expected ?? "no sample"}`, async (t) => {
    const policy = `
policy: p
report:
  - metric: m
    type: ${type}
${rest.replace(/^/gm, "    ")}
`;
    const found = await TestHub.samplesOf(policy, attributes);
    t.deepEqual(found.samples, expected === undefined ? [] : [`m{} ${expected}`]);
    t.deepEqual(found.told, told);
  });
}

test("rules with the same labels and conditions are one group; a sample that is missing leaves the others", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`
policy: p
report:
  - { metric: a_total, type: counter, labels: { x: request.path } }
  - { metric: b_bytes, type: histogram, value: request.size, buckets: [10], labels: { x: request.path }, help: Sizes. }
  - { metric: c_total, type: counter, labels: { y: request.path } }
  - { metric: d_total, type: counter, labels: { x: request.host } }
  - { metric: e_total, type: counter, labels: { x: request.path }, when: request.size > 5 }
  - { metric: f_total, type: counter, labels: { x: request.path }, to: other }
`);
  const reporter = hub.reporter(snapshot);
  t.deepEqual(
    hub.groups.map(({ labels, metrics }) => [labels.join(), metrics.map(({ name }) => name).join()]),
    [
      ["x", "a_total,b_bytes"],
      ["y", "c_total"],
      ["x", "d_total"],
      ["x", "e_total"],
      ["x", "f_total"],
    ],
  );
  t.deepEqual(hub.groups[0]!.metrics[1], { name: "b_bytes", kind: "histogram", help: "Sizes.", buckets: [10] });
  t.is(reporter.report(recordOf(snapshot, { "request.path": "/a", "request.host": "h" })), "taken");
  t.deepEqual(hub.samples, ["a_total{x=/a} 1", "c_total{y=/a} 1", "d_total{x=h} 1", "f_total{x=/a} 1"]);
  t.deepEqual(hub.counts, { taken: 1, full: 0 });
});

test("an adapter that throws costs only its own samples, and is counted and logged", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`
policy: p
report:
  - { metric: a_total, type: counter, to: other }
  - { metric: b_total, type: counter }
`);
  const broken = {
    metrics: () => ({
      record: (): void => {
        throw new Error("broken");
      },
      close: (): void => {
        throw new Error("broken too");
      },
    }),
  };
  const reporter = hub.reporter(snapshot, (adapter) => (adapter === "other" ? broken : hub.metricsInstance));
  t.is(reporter.report(recordOf(snapshot, {})), "taken");
  t.deepEqual(hub.samples, ["b_total{} 1"]);
  t.deepEqual(hub.observer.told, ["adapter other metrics fault"]);
  t.is(reporter.report(recordOf(snapshot, {})), "taken");
  t.deepEqual(hub.observer.told, ["adapter other metrics fault", "adapter other metrics fault"]);
  t.deepEqual(hub.log.lines, ["warn: adapter other failed to record metrics"], "once");
  await reporter.close(1000);
  t.is(hub.closedRecorders, 1, "the others are closed all the same");
});

test("what an adapter answers to metrics must be a recorder", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf("policy: p\nreport:\n  - { metric: a_total, type: counter, to: other }\n");
  for (const recorder of [undefined, {}, Promise.resolve({ record: () => undefined })]) {
    const instance = { metrics: () => recorder as never };
    t.throws(() => hub.reporter(snapshot, () => instance), { message: /"other" answers metrics .* no method record/ });
  }
});

const logPolicy = `
policy: p
report:
  - log: access
    severity: 'response.code >= 500 ? "ERROR" : request.reason'
    fields:
      path: request.path
      code: response.code
      mtls: connection.mtls
      ip: source.ip
      took: response.duration
      at: request.time
      headers: request.headers
      list: '[1, 2u, 1.5, "x", null]'
      __proto__: request.host
`;

test("a log entry has the fields that are there, as JSON", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(logPolicy);
  const reporter = hub.reporter(snapshot);
  reporter.report(
    recordOf(snapshot, {
      "request.path": "/a",
      "response.code": 503,
      "connection.mtls": false,
      "source.ip": "10.0.0.1",
      "response.duration": "250ms",
      "request.time": "2026-01-02T03:04:05Z",
      "request.headers": { __proto__x: "1", b: "2" },
      "request.host": "h",
    }),
  );
  reporter.report(
    recordOf(snapshot, { "response.code": "9007199254740993", "request.path": wrong, "request.reason": "Warn" }),
  );
  reporter.report(recordOf(snapshot, { "response.code": 1 }));
  t.deepEqual(hub.entries, [], "delivered behind");
  await hub.clock.advance(1000);
  t.is(
    JSON.stringify(hub.entries.map(({ name, timeMs, severity, fields }) => [name, timeMs, severity, { ...fields }])),
    JSON.stringify([
      [
        "access",
        1_000_000,
        "error",
        {
          path: "/a",
          code: 503,
          mtls: false,
          ip: "10.0.0.1",
          took: "0.250s",
          at: "2026-01-02T03:04:05Z",
          headers: { __proto__x: "1", b: "2" },
          list: [1, 2, 1.5, "x", null],
          ["__proto__"]: "h",
        },
      ],
      ["access", 1_000_000, "error", { code: "9007199254740993", list: [1, 2, 1.5, "x", null] }],
      ["access", 1_000_000, "info", { code: 1, list: [1, 2, 1.5, "x", null] }],
    ]),
  );
  t.deepEqual(hub.observer.take().slice(0, 2), ["fault p/access field", "absence p/access severity"]);
});

test("a log entry whose severity is no severity is info, and counted, whatever a caller writes there", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf("policy: p\nreport:\n  - { log: access, severity: request.reason }\n");
  const reporter = hub.reporter(snapshot);
  const texts = ["Notice", "loud", "constructor"];
  for (const text of texts) reporter.report(recordOf(snapshot, { "request.reason": text }));
  await hub.clock.advance(1000);
  t.deepEqual(
    hub.entries.map(({ severity }) => severity),
    texts.map(() => "info"),
  );
  t.deepEqual(hub.observer.take().slice(0, 2), ["fault p/access severity", "fault p/access severity"]);
});

test("a record for which a queue has no room is not taken in any part", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`
policy: p
report:
  - { metric: m_total, type: counter }
  - { log: one, fields: { path: request.path } }
  - { log: two, when: request.size > 0 }
`);
  const reporter = hub.reporter(snapshot);
  const [small, large] = [recordOf(snapshot, { "request.size": 0 }), recordOf(snapshot, { "request.size": 1 })];
  // Three entries have room: 2 + 2 do not, 2 + 1 do.
  t.deepEqual(
    [large, large, small, small].map((bag) => reporter.report(bag)),
    ["taken", "full", "taken", "full"],
  );
  t.is(hub.samples.length, 2);
  t.deepEqual(hub.counts, { taken: 2, full: 2 });
  reporter.notTried(3);
  t.deepEqual(hub.counts, { taken: 2, full: 5 });
  await hub.clock.advance(1000);
  t.deepEqual(
    hub.entries.map(({ name }) => name),
    ["one", "two", "one"],
  );
  t.is(reporter.report(large), "taken");
});

test("entries of an instance that stays over a reload go on waiting; the last reporter to go delivers them", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`{ policy: p, report: [ { log: a }, { metric: m, type: counter } ] }`);
  const before = hub.reporter(snapshot);
  before.report(recordOf(snapshot, {}));
  const after = hub.reporter(snapshot);
  await before.close(1000);
  t.is(hub.closedRecorders, 1);
  t.deepEqual(hub.entries, []);
  t.is(hub.queues.states()[0]!.entries, 1);
  after.report(recordOf(snapshot, {}));
  const closed = after.close(1000);
  await hub.clock.advance(0);
  await closed;
  t.is(hub.entries.length, 2);
  t.is(hub.closedRecorders, 2);
  t.deepEqual(hub.queues.states(), []);
  t.is(hub.clock.pending, 0);
});

test("when an adapter refuses a metric, what was opened before is let go of", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`
policy: p
report:
  - { log: a }
  - { metric: good, type: counter }
  - { metric: zzz, type: counter, labels: { x: request.path } }
`);
  const picky = {
    metrics: (group: Parameters<typeof hub.openRecorder>[0]) => {
      if (group.metrics[0]!.name === "zzz") throw new Error("not that one");
      return hub.openRecorder(group);
    },
  };
  t.throws(() => hub.reporter(snapshot, (adapter) => (adapter === "stdout" ? hub.logsInstance : picky)), {
    message: "not that one",
  });
  t.is(hub.closedRecorders, 1);
});

test("policies found by index are those whose match holds, whatever the record", async (t) => {
  const matches = [
    "",
    'match: request.host == "a"',
    'match: request.host == "b" && request.path == "/x"',
    'match: request.path == "/x" && request.size > 1',
    'match: request.host == "a" || request.path == "/y"',
    'match: request.path == "/y" && request.host == "b"',
    'match: \'"a" == request.host && request.headers["k"] == "v"\'',
  ];
  const hub = new TestHub();
  const snapshot = await snapshotOf(
    matches.map((match, i) => `---\npolicy: p${i}\n${match}\nreport: [ { metric: m${i}, type: counter } ]`).join("\n"),
  );
  const reporter = hub.reporter(snapshot);
  const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
  const record = fc.record({
    "request.host": optional(fc.constantFrom("a", "b", "c", wrong)),
    "request.path": optional(fc.constantFrom("/x", "/y", wrong)),
    "request.size": optional(fc.constantFrom(1, 2, wrong)),
    "request.headers": optional(fc.constantFrom({ k: "v" }, {})),
  });
  fc.assert(
    fc.property(record, (attributes) => {
      hub.samples.length = 0;
      reporter.report(recordOf(snapshot, present(attributes)));
      const expected = snapshot.policies
        .filter(
          ({ reportMatch }) =>
            reportMatch === undefined || reportMatch.evaluate(recordOf(snapshot, present(attributes))) === true,
        )
        .map(({ name }) => `m${name.slice(1)}{} 1`);
      t.deepEqual(hub.samples.toSorted(), expected);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

test("what is read anew of a record laid over another is what is read of one by itself", async (t) => {
  const snapshot = await snapshotOf(`
policy: p
report:
  - metric: all
    type: counter
    labels: { host: request.host, path: request.path, key: 'request.headers["k"]', both: request.host + request.path, size: request.size }
  - metric: some
    type: counter
    when: request.size > 1
    labels: { path: request.path, host: request.host, fixed: '"f"' }
`);
  const { reportLayout: layout, vocabulary } = snapshot;
  const text = fc.constantFrom(undefined, "a", "b", "c", wrong);
  const step = fc.record(
    {
      refill: fc.constantFrom(true, false, false, false),
      bag: fc.nat(1),
      "request.host": text,
      "request.path": text,
      "request.size": fc.constantFrom(undefined, 1, 2, wrong),
      "request.headers": fc.constantFrom(undefined, { k: "v" }, { k: "w" }, {}),
    },
    { requiredKeys: ["bag", "refill"] },
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const [laid, apart] = [new TestHub(), new TestHub()];
      const [reporter, other] = [laid.reporter(snapshot), apart.reporter(snapshot)];
      const bags = [new Bag(layout), new Bag(layout)];
      for (const { bag: at, refill, ...changes } of steps) {
        const bag = bags[at]!;
        if (refill) bag.clear();
        const brought = bagOf({ layout, vocabulary }, present(changes));
        for (const name of Object.keys(changes)) {
          const slot = layout.find(name)!;
          for (const each of [slot, ...(layout.keysOf(name)?.values() ?? [])]) bag.set(each, brought.peek(each));
        }
        bag.clearReads();
        reporter.report(bag);
        const copy = new Bag(layout);
        for (const { index } of layout.slots) copy.set(index, bag.peek(index));
        other.report(copy);
      }
      t.deepEqual([laid.samples, laid.observer.told], [apart.samples, apart.observer.told]);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("a field that could tell a secret is masked, unless the rule reveals it; what is no text is shown", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(`
policy: p
report:
  - log: access
    reveal: [Cookie]
    fields:
      key: request.api_key
      bearer: request.headers["authorization"] + "!"
      has_key: has(request.api_key)
      long: size(request.headers["authorization"])
      cookie: request.headers["cookie"]
      all: request.headers
      path: request.path
      any: request.headers[request.host]
      made: '{"a": request.headers[request.host]}'
      count: size(request.headers)
`);
  const reporter = hub.reporter(snapshot);
  const headers = { authorization: "Bearer abc", cookie: "c", "x-csrf-token": "t", accept: "*/*" };
  const path = "/a?id=1&access_token=t&cookie=c&api%5fkey=k#x";
  const present = {
    "request.api_key": "k",
    "request.path": path,
    "request.host": "accept",
    "request.headers": headers,
  };
  reporter.report(recordOf(snapshot, present));
  await hub.clock.advance(1000);
  t.deepEqual(hub.entries[0]!.fields, {
    key: "***",
    bearer: "***",
    has_key: true,
    long: 10,
    cookie: "c",
    all: { authorization: "***", cookie: "c", "x-csrf-token": "***", accept: "*/*" },
    path: "/a?id=1&access_token=***&cookie=c&api%5fkey=***#x",
    any: "***",
    made: "***",
    count: 4,
  });
});
