import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { compiled } from "../../../runtime/world.ts";
import { doorTo } from "./door.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../../..");
const page = readFileSync(join(root, "docs/doors/rate-limit-quota.md"), "utf8");

/** Rows of the table of entries: the entry, and the expression that holds for it. */
const table = page.slice(page.indexOf("## What a policy reads"), page.indexOf("## What the proxy is told"));
const rows = [...table.matchAll(/^\| `([a-z_.-]+): ([^`]+)` +\| `([^|]+)` +\|$/gm)].map(([, key, value, holds]) => ({
  key: key!,
  value: value!,
  holds: holds!.trim(),
}));

test("docs/doors/rate-limit-quota.md tells what entries become", (t) => {
  t.true(rows.length >= 5);
});

for (const { key, value, holds } of rows) {
  test(`an entry ${key}: ${value} of a bucket's id makes true: ${holds}`, async (t) => {
    const { connect } = await doorTo(
      `policy: p\ncheck: [{ name: l, limit: 9/h, at: ratelimit, when: ${JSON.stringify(holds)} }]`,
    );
    const proxy = connect();
    proxy.report([{ id: { [key]: value } }]);
    t.regex(proxy.take()[0]!, /\d+\+\d+\/\d+s$/);
    const other = connect();
    other.report([{ id: { [key]: "something else" } }]);
    t.false(/\d+\+\d+\/\d+s$/.test(other.take()[0]!));
  });
}

test("the policy of docs/doors/rate-limit-quota.md compiles", async (t) => {
  const [, policy] = /^```yaml\n(policy:.*?)^```$/ms.exec(page)!;
  const { checks } = await compiled(policy!.replaceAll("via: redis", "via: memory"));
  t.true(checks.every((rule) => rule.kind === "limit" && rule.at === "ratelimit"));
});
