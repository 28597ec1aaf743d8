import test from "ava";
import fc from "fast-check";
import { fuzzRuns } from "../fuzz-runs.ts";
import { recordOf, type Attributes } from "../attributes/bag-of.ts";
import type { Told } from "../../src/telemetry/rules/growth.ts";
import { snapshotOf, TestHub } from "./hub.ts";

const policies = `
policy: p
report:
  - { metric: bytes_total, type: counter, value: response.size, ongoing: true, labels: { code: response.code } }
  - { metric: requests_total, type: counter, labels: { code: response.code } }
  - { metric: bytes, type: histogram, value: response.size, buckets: [10] }
  - { log: access, fields: { path: request.path } }
  - { span: request, to: traces }
`;

const nothingTold = (before = 0): Told => ({ rules: [], sums: [], before });

/** A hub, and what tells it of one request. */
async function requestOf(text: string, before = 0, hub = new TestHub(), told = nothingTold(before)) {
  const snapshot = await snapshotOf(text);
  const reporter = hub.reporter(snapshot);
  return {
    hub,
    told,
    ongoing: (attributes: Attributes) => reporter.ongoing?.(recordOf(snapshot, attributes), told),
    report: (attributes: Attributes) => reporter.report(recordOf(snapshot, attributes), told),
    reporter,
  };
}

test("while a request is under way, only counters that ask for it grow; its end is what it is without", async (t) => {
  const { hub, ongoing, report } = await requestOf(policies);
  ongoing({});
  ongoing({ "response.size": 10 });
  ongoing({ "response.size": 10, "response.code": 200 });
  ongoing({ "response.size": 15, "response.code": 200 });
  t.deepEqual(hub.samples, ["bytes_total{code=unknown} 10", "bytes_total{code=200} 5"]);
  t.is(hub.counts.taken, 0, "no record");
  hub.samples.length = 0;
  report({ "response.size": 17, "response.code": 200 });
  t.deepEqual(hub.samples.sort(), ["bytes_total{code=200} 2", "bytes{} 17", "requests_total{code=200} 1"]);
  await hub.clock.advance(1000);
  t.deepEqual([hub.entries.length, hub.spans.length], [1, 1]);
  const faults = hub.observer.told.filter((line) => line.startsWith("absence"));
  t.deepEqual(faults, [], "what is absent may yet come");
});

test("a request of which nothing was told before adds all of it, with a sample though it is 0", async (t) => {
  const { hub, reporter } = await requestOf(policies);
  const snapshot = await snapshotOf(policies);
  reporter.report(recordOf(snapshot, { "response.size": 0, "response.code": 204 }));
  t.true(hub.samples.includes("bytes_total{code=204} 0"));
});

test("a reporter whose rules do not ask for requests under way does not take them", async (t) => {
  const { reporter } = await requestOf(policies.replace("ongoing: true, ", ""));
  t.is(reporter.ongoing, undefined);
});

test("a condition that begins to hold adds all that there was", async (t) => {
  const rule = `{ metric: m, type: counter, value: response.size, ongoing: true, when: response.code == 200 }`;
  const { hub, ongoing, report } = await requestOf(`policy: p\nreport: [${rule}]\n`);
  ongoing({ "response.size": 10 });
  ongoing({ "response.size": 20, "response.code": 200 });
  report({ "response.size": 25, "response.code": 200 });
  t.deepEqual(hub.samples, ["m{} 20", "m{} 5"]);
});

test("a value that falls waits until it is above what was added", async (t) => {
  const { hub, ongoing, report } = await requestOf(
    "policy: p\nreport: [{ metric: m, type: counter, value: response.size, ongoing: true }]\n",
  );
  for (const size of [10, 4, 9, 12]) ongoing({ "response.size": size });
  report({ "response.size": 11 });
  t.deepEqual(hub.samples, ["m{} 10", "m{} 2", "m{} 0"]);
});

test("where it is not known what was told before, a counter begins with what is there, and that is counted", async (t) => {
  const { hub, ongoing, report } = await requestOf(policies, NaN);
  ongoing({ "response.size": 10 });
  ongoing({ "response.size": 15 });
  report({ "response.size": 17 });
  t.deepEqual(
    hub.samples.filter((sample) => sample.startsWith("bytes_total")),
    ["bytes_total{code=unknown} 5", "bytes_total{code=unknown} 2"],
  );
  t.deepEqual(hub.observer.told, ["dropped metric_sample unknown_start 1"]);
});

test("over a reload a rule goes on where it was, and one that came begins with what is there", async (t) => {
  const rule = (name: string) => `  - { metric: ${name}, type: counter, value: response.size, ongoing: true }\n`;
  const one = `policy: p\nreport:\n${rule("a")}`;
  const first = await requestOf(one);
  first.ongoing({ "response.size": 10 });
  const second = await requestOf(`${one}${rule("b")}`, 0, first.hub, first.told);
  second.ongoing({ "response.size": 12 });
  second.report({ "response.size": 15 });
  t.deepEqual(first.hub.samples, ["a{} 10", "a{} 2", "a{} 3", "b{} 3"]);
  t.deepEqual(first.hub.observer.told, []);
});

test("whatever comes before the end, in whatever order, the sum is that of the end", async (t) => {
  const hub = new TestHub();
  const snapshot = await snapshotOf(policies.slice(0, policies.indexOf("  - { log:")));
  const reporter = hub.reporter(snapshot);
  fc.assert(
    fc.property(fc.array(fc.nat(1000)), fc.nat(1000), (parts, more) => {
      const total = Math.max(0, ...parts) + more;
      const told = nothingTold();
      hub.samples.length = 0;
      for (const size of parts) reporter.ongoing!(recordOf(snapshot, { "response.size": size }), told);
      reporter.report(recordOf(snapshot, { "response.size": total }), told);
      const sum = (name: string): number =>
        hub.samples.filter((each) => each.startsWith(name)).reduce((all, each) => all + Number(each.split(" ")[1]), 0);
      t.is(sum("bytes_total"), total);
      t.is(sum("requests_total"), 1);
      t.is(sum("bytes{"), total);
    }),
    { numRuns: fuzzRuns(200) },
  );
});
