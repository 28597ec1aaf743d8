import { strict as assert } from "node:assert";
import type { MetricGroup } from "../metric.ts";
import type { ContractTest } from "./test-adapter.ts";

const group: MetricGroup = {
  labels: ["source", "path"],
  metrics: [
    { name: "contract_requests_total", kind: "counter", help: "Requests." },
    { name: "contract_in_flight", kind: "gauge", help: "In flight." },
    { name: "contract_seconds", kind: "histogram", help: "Time.", buckets: [0.1, 1, 10] },
  ],
};

/** What `metrics` must keep to; what it shows is looked at where the instance has `expose`. */
export function metricsContract(): ContractTest[] {
  return [
    {
      title: "records samples of every kind, and shows them",
      async run({ instance }) {
        const recorder = instance.metrics!(group);
        recorder.record(["reviews", "/a"], [1, 4, 0.5]);
        recorder.record(["reviews", "/a"], [2, 3, 20]);
        if (instance.expose === undefined) return;
        const text = await textOf(instance.expose({ format: "prometheus" }));
        for (const { name } of group.metrics) assert.ok(text.includes(name), `${name} is not shown:\n${text}`);
        assert.match(text, /contract_requests_total\{[^}]*\} 3\b/);
        assert.match(text, /contract_in_flight\{[^}]*\} 3\b/);
        assert.match(text, /contract_seconds_count\{[^}]*\} 2\b/);
      },
    },
    {
      title: "takes NaN as no sample, and label values of any text",
      async run({ instance }) {
        const recorder = instance.metrics!(group);
        recorder.record(['back\\slash "quote"\nline', ""], [NaN, NaN, 1]);
        if (instance.expose === undefined) return;
        const text = await textOf(instance.expose({ format: "openmetrics" }));
        assert.doesNotMatch(text, /NaN/);
      },
    },
    {
      title: "counts each sample that it took, where it says how many nobody has",
      run({ instance }) {
        const before = instance.unexported?.() ?? 0;
        const recorder = instance.metrics!(group);
        recorder.record(["reviews", "/a"], [1, NaN, 1]);
        if (instance.unexported !== undefined) assert.equal(instance.unexported() - before, 2);
      },
    },
    {
      title: "prepares and records at once, without a promise",
      run({ instance }) {
        const recorder = instance.metrics!(group);
        assert.equal(typeof recorder?.record, "function", "metrics answers no recorder");
        assert.equal(recorder.record(["reviews", "/a"], [1, 1, 1]), undefined, "record answers something");
      },
    },
    {
      title: "does not keep the arrays that it is handed",
      async run({ instance }) {
        const recorder = instance.metrics!(group);
        const labels = ["first", "/"];
        const values = [1, 1, 1];
        recorder.record(labels, values);
        labels[0] = "second";
        values.fill(2);
        recorder.record(labels, values);
        if (instance.expose === undefined) return;
        const text = await textOf(instance.expose({ format: "prometheus" }));
        assert.match(text, /contract_requests_total\{[^}]*first[^}]*\} 1\b/);
        assert.match(text, /contract_requests_total\{[^}]*second[^}]*\} 2\b/);
      },
    },
    {
      title: "lets a recorder be closed, and the group be prepared again",
      run({ instance }) {
        const recorder = instance.metrics!(group);
        recorder.record(["reviews", "/a"], [1, 1, 1]);
        recorder.close?.();
        instance.metrics!(group).record(["reviews", "/a"], [1, 1, 1]);
      },
    },
  ];
}

async function textOf(chunks: AsyncIterable<string> | Iterable<string>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += chunk;
  return text;
}
