import { readFileSync } from "node:fs";
import test from "ava";
import { builtinAdapters } from "../../adapters/index.ts";
import { compilePolicies } from "../../src/policy/index.ts";

test("what docs/tracing.md shows of a policy and of weir.yaml compiles as it stands", async (t) => {
  const page = readFileSync("docs/tracing.md", "utf8");
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text]) => text!);
  const policies = blocks.filter((text) => text.startsWith("policy:"));
  const config = blocks.filter((text) => text.startsWith("# weir.yaml")).join("");
  t.is(policies.length, 1);
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: config },
    files: [{ path: "traces.yaml", text: policies[0]! }],
    adapters: builtinAdapters,
    folder: process.cwd(),
  });
  t.deepEqual("problems" in compiled ? compiled.problems : [], []);
});
