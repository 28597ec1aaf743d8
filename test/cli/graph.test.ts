import test from "ava";
import { mergeGraphs, type HubGraph } from "../../src/cli/graph/merged.ts";
import { dotText, mermaidText, tableText } from "../../src/cli/graph/text.ts";
import { WeirError } from "../../src/util/weir-error.ts";

const graph = (requests: number, errors: number, names: { from?: string; to?: string } = {}): HubGraph => ({
  span_seconds: 10,
  latency_bounds_ms: [1, 2, 4],
  edges: [
    {
      source: { name: names.from ?? "web", namespace: "shop" },
      destination: { name: names.to ?? "cart", namespace: "" },
      protocol: "http",
      requests,
      errors,
      rate: requests / 10,
      latency_counts: [0, requests, 0, 0],
    },
  ],
});

test("graphs of several hubs are added, edge by edge", (t) => {
  const merged = mergeGraphs([graph(30, 0), graph(10, 10), graph(1, 0, { from: "cron" })]);
  t.like(merged, [
    { source: { name: "web" }, rate: 4, errorShare: 0.25, p50Ms: 1.5 },
    { source: { name: "cron" }, rate: 0.1, errorShare: 0 },
  ]);
});

test("hubs whose latencies are cut in other ways are not added", (t) => {
  const other = { ...graph(1, 0), latency_bounds_ms: [1] };
  t.throws(() => mergeGraphs([graph(1, 0), other]), { instanceOf: WeirError, code: "WEIR_USAGE" });
});

test("a table names both ends, and control characters of names do not reach the terminal", (t) => {
  t.is(
    tableText(mergeGraphs([graph(30, 3, { to: "c\u001B[31ma\u202Ert" })])),
    "from      to                      protocol  requests  failed  p50     p99\n" +
      "web.shop  c\\u{1b}[31ma\\u{202e}rt  http      3/s       10 %    1.5 ms  1.99 ms\n",
  );
});

test("Graphviz's text has a cluster for each namespace, failing edges in red, and quotes what names bring", (t) => {
  t.is(
    dotText(mergeGraphs([graph(30, 3, { to: 'c"a\\rt' })])),
    `digraph mesh {
  rankdir=LR
  node [shape=box, style=rounded]
  subgraph cluster_0 {
    label="shop"
    n0 [label="web"]
  }
  n1 [label="c\\"a\\\\rt"]
  n0 -> n1 [label="3/s, 10 % failed, p99 1.99 ms", color=red, fontcolor=red]
}
`,
  );
});

test("Mermaid's text likewise", (t) => {
  t.is(
    mermaidText(mergeGraphs([graph(30, 3, { to: 'c"art' })])),
    `flowchart LR
  subgraph s0 ["shop"]
    n0["web"]
  end
  n1["c#34;art"]
  n0 -->|"3/s, 10 % failed, p99 1.99 ms"| n1
  linkStyle 0 stroke:red
`,
  );
});
