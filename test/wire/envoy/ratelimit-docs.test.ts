import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { Bag } from "../../../src/attributes/bag.ts";
import { DescriptorTable } from "../../../src/wire/envoy/ratelimit/descriptor-table.ts";
import { compiled, world } from "../../runtime/world.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const page = readFileSync(join(root, "docs/doors/ratelimit.md"), "utf8");

/** Rows of the table of entries: the entry, and the expression that holds for it. */
const table = page.slice(page.indexOf("## What a policy reads"), page.indexOf("## Hits"));
const rows = [...table.matchAll(/^\| `([a-z_.-]+): ([^`]+)` +\| `([^|]+)` +\|$/gm)].map(([, key, value, holds]) => ({
  key: key!,
  value: value!,
  holds: holds!.trim(),
}));

test("docs/doors/ratelimit.md tells what entries become", (t) => {
  t.true(rows.length >= 12);
});

for (const { key, value, holds } of rows) {
  test(`an entry ${key}: ${value} makes true: ${holds}`, async (t) => {
    const { runtime, snapshot } = await world(
      `policy: p\ncheck: [{ name: l, limit: 9/h, at: ratelimit, when: ${JSON.stringify(holds)} }]`,
    );
    const limitsFor = (text: string): number => {
      const entries = new DescriptorTable(snapshot.layout);
      const bag = new Bag(snapshot.layout);
      entries.begin(bag, "edge");
      const known = entries.find(key);
      if (known !== undefined) entries.put(bag, known, key, text);
      const judgement = runtime.acquire().rateLimit({});
      judgement.add(bag, {});
      const decision = judgement.decide();
      return decision instanceof Promise ? -1 : decision.descriptors[0]!.limits.length;
    };
    t.is(limitsFor(value), 1);
    t.is(limitsFor("something else"), 0);
  });
}

test("the policies of docs/doors/ratelimit.md compile", async (t) => {
  const policies = [...page.matchAll(/^```yaml\n(policy:.*?)^```$/gms)].map(([, text]) => text!);
  t.is(policies.length, 2);
  for (const text of policies) {
    const { checks } = await compiled(text);
    t.true(checks.every((rule) => rule.kind === "limit" && rule.at === "ratelimit"));
  }
});
