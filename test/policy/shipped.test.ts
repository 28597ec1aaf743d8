import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { builtinAdapters } from "../../adapters/index.ts";
import { loadPolicies } from "../../src/policy/index.ts";

/** The names of the policies of a folder's set, and the places of the rules that count requests. */
async function load(t: ExecutionContext, files: Readonly<Record<string, string>>) {
  const cwd = mkdtempSync(join(tmpdir(), "weir-shipped-"));
  t.teardown(() => rmSync(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const loaded = await loadPolicies({ cwd, policies: cwd, adapters: builtinAdapters });
  if ("problems" in loaded) return { problems: loaded.problems, warnings: [] };
  const { policies, reports } = loaded.snapshot;
  return {
    warnings: loaded.warnings,
    policies: policies.map(({ name }) => name),
    counted: reports.flatMap((rule) =>
      rule.kind === "metric" && rule.metric === "istio_requests_total" ? [rule.place.file] : [],
    ),
  };
}

const own = "policy: own\ncheck:\n  - { name: ok, deny: aborted, when: 'false' }\n";
const replaced = (policy: string, metric: string) =>
  `policy: ${policy}\nreport:\n  - { metric: ${metric}, type: counter, labels: { code: response.code } }\n`;
const shipped = "weir:istio-http-metrics.yaml";

const cases: readonly (readonly [
  title: string,
  files: Readonly<Record<string, string>>,
  policies: readonly string[],
  counted: readonly string[],
])[] = [
  [
    "hold without being asked for",
    {},
    ["istio-grpc-metrics", "istio-http-metrics", "istio-tcp-metrics", "own"],
    [shipped],
  ],
  [
    "hold with those of Istio 1.3",
    { "weir.yaml": "telemetry: { mesh: istio-mixer }" },
    ["istio-grpc-metrics", "istio-http-metrics", "istio-mixer-metrics", "istio-tcp-metrics", "own"],
    [shipped],
  ],
  ["are left out where weir.yaml says so", { "weir.yaml": "telemetry: { mesh: none }" }, ["own"], []],
  [
    "give way to a policy of the same name",
    { "z.yaml": replaced("istio-http-metrics", "m") },
    ["istio-grpc-metrics", "istio-http-metrics", "istio-tcp-metrics", "own"],
    [],
  ],
  [
    "give way to a policy that feeds the same metric",
    { "z.yaml": replaced("z", "istio_requests_total") },
    ["istio-grpc-metrics", "istio-tcp-metrics", "own", "z"],
    ["z.yaml"],
  ],
  [
    "give way to a policy whose metric would be shown under the same name",
    { "z.yaml": replaced("z", "istio_requests") },
    ["istio-grpc-metrics", "istio-tcp-metrics", "own", "z"],
    [],
  ],
  [
    "are left out where prometheus takes no metrics",
    { "weir.yaml": "adapters: { prometheus: { adapter: memory } }" },
    ["own"],
    [],
  ],
];

for (const [title, files, policies, counted] of cases) {
  test(`the policies of the mesh's metrics ${title}`, async (t) => {
    const found = await load(t, { "own.yaml": own, ...files });
    t.deepEqual(found, { warnings: [], policies, counted } as typeof found);
  });
}

test("a folder without policies is told as such, though some ship", async (t) => {
  const found = await load(t, {});
  t.deepEqual(
    found.warnings.map(({ code }) => code),
    ["WEIR_POLICY_NO_RULES"],
  );
});
