import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { builtinAdapters as adapters } from "../../adapters/index.ts";
import { addSchemaCommand } from "../../src/cli/schema.ts";
import { addValidateCommand } from "../../src/cli/validate.ts";
import { checkRuleShape, httpShape } from "../../src/policy/schema/check-rule.ts";
import { editsShape, headersShape, queryShape } from "../../src/policy/schema/header-edits.ts";
import { levelShape, overrideShape } from "../../src/policy/schema/limit.ts";
import { compilePolicies, policySchema, weirSchema } from "../../src/policy/index.ts";
import {
  adminListenerShape,
  clientShape,
  listenerShape,
  listenShape,
  tlsShape,
} from "../../src/policy/schema/listen.ts";
import { policyShape } from "../../src/policy/schema/policy.ts";
import {
  authzShape,
  doorsShape,
  rateLimitFieldsShape,
  ratelimitDoorShape,
  ratelimitQuotaDoorShape,
} from "../../src/policy/schema/doors.ts";
import { exponentialShape, linearShape, reportRuleShape } from "../../src/policy/schema/report-rule.ts";
import { samplingShape } from "../../src/policy/schema/span-rule.ts";
import type { Fields } from "../../src/policy/shape/collections.ts";
import {
  checkDefaultsShape,
  decisionsShape,
  graphShape,
  limitsShape,
  producedShape,
  pushedShape,
  shutdownShape,
  diskShape,
  telemetryShape,
  tracesShape,
  weirShape,
} from "../../src/policy/schema/weir.ts";
import { runCommand } from "../cli/run-command.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** The tables of a page, each a list of rows without its head. */
function tablesOf(page: string): string[][][] {
  const tables: string[][][] = [];
  let inTable = false;
  for (const line of read(page).split("\n")) {
    if (!line.startsWith("|")) inTable = false;
    else if (!inTable) {
      inTable = true;
      tables.push([]);
    } else if (!line.startsWith("| -")) {
      tables.at(-1)!.push(
        line
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      );
    }
  }
  return tables;
}

const rowsOf = (fields: Fields) =>
  Object.entries(fields).map(([key, field]) => [
    `\`${key}\``,
    field.required === true ? "(required)" : field.default,
    field.description,
  ]);

const pages: Readonly<Record<string, readonly Fields[]>> = {
  "docs/policy.md": [
    policyShape.fields,
    checkRuleShape.common,
    checkRuleShape.kinds.deny,
    checkRuleShape.kinds.ask,
    checkRuleShape.kinds.limit,
    overrideShape.fields,
    levelShape.fields,
    checkRuleShape.kinds.headers,
    headersShape.fields,
    editsShape.fields,
    queryShape.fields,
    httpShape.fields,
    reportRuleShape.common,
    reportRuleShape.kinds.metric,
    linearShape.fields,
    exponentialShape.fields,
    reportRuleShape.kinds.log,
    reportRuleShape.kinds.span,
    samplingShape.fields,
  ],
  "docs/weir-yaml.md": [
    weirShape.fields,
    pushedShape.fields,
    listenShape.fields,
    listenerShape.fields,
    tlsShape.fields,
    clientShape.fields,
    adminListenerShape.fields,
    producedShape.fields,
    limitsShape.fields,
    doorsShape.fields,
    rateLimitFieldsShape.fields,
    ratelimitDoorShape.fields,
    ratelimitQuotaDoorShape.fields,
    authzShape.fields,
    checkDefaultsShape.fields,
    telemetryShape.fields,
    diskShape.fields,
    tracesShape.fields,
    decisionsShape.fields,
    graphShape.fields,
    shutdownShape.fields,
  ],
};

for (const [page, shapes] of Object.entries(pages)) {
  test(`${page} has a row for every key, with its default, and no other`, (t) => {
    t.deepEqual(tablesOf(page), shapes.map(rowsOf));
  });
}

/** The YAML blocks of a page. */
const blocksOf = (page: string) => [...read(page).matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1]!);

test("the examples of the reference are fine", async (t) => {
  const [config] = blocksOf("docs/weir-yaml.md");
  const files = blocksOf("docs/policy.md").map((text, i) => ({ path: `${i}.yaml`, text }));
  t.true(files.length > 0);
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: config! },
    files,
    adapters,
    folder: "/",
  });
  t.deepEqual("problems" in compiled ? compiled.problems : compiled.warnings, []);
});

test("the examples of docs/limits.md are fine", async (t) => {
  for (const [i, text] of blocksOf("docs/limits.md").entries()) {
    const compiled = await compilePolicies({
      config: {
        path: "weir.yaml",
        text: `attributes: { tenant.id: string, tenant.plan: string }
adapters: { redis: { url: "redis://127.0.0.1" }, plans: { adapter: table, file: plans.txt } }`,
      },
      files: [{ path: `${i}.yaml`, text }],
      adapters,
      folder: "/",
    });
    t.deepEqual("problems" in compiled ? compiled.problems : compiled.warnings, [], text);
  }
});

test("weir.yaml's example shows the defaults", async (t) => {
  const [config] = blocksOf("docs/weir-yaml.md");
  const settings = async (text: string | undefined) => {
    const compiled = await compilePolicies({
      config: text === undefined ? undefined : { path: "w", text },
      files: [],
      adapters,
      folder: "/",
    });
    return "snapshot" in compiled ? compiled.snapshot.settings : compiled.problems;
  };
  t.deepEqual(await settings(config), await settings(undefined));
});

test("the JSON Schemas take what the compiler takes, and refuse a key that it refuses", (t) => {
  const policy = z.fromJSONSchema(policySchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const weir = z.fromJSONSchema(weirSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  for (const block of blocksOf("docs/policy.md"))
    for (const document of parseAllDocuments(block)) t.true(policy.safeParse(document.toJS()).success, block);
  for (const block of blocksOf("docs/weir-yaml.md")) t.true(weir.safeParse(parse(block)).success, block);
  const deny = { name: "x", deny: "permission_denied" };
  t.true(policy.safeParse({ policy: "a", check: [deny] }).success);
  for (const wrong of [
    { ...deny, unles: "true" },
    { ...deny, burst: 5 },
    { name: "x" },
    { ...deny, deny: "no" },
    { name: "x", limit: "0/s" },
  ])
    t.false(policy.safeParse({ policy: "a", check: [wrong] }).success, JSON.stringify(wrong));
  t.false(weir.safeParse({ listn: {} }).success);
});

const run = (add: Parameters<typeof runCommand>[0], args: readonly string[]) => runCommand(add, args, { cwd: root });

test("weir validate says what is fine", async (t) => {
  const { out, err, exitCode } = await run(addValidateCommand, ["validate", "--config", "policies/weir.yaml"]);
  t.regex(out, /^\d+ policies with \d+ rules are fine \(version [0-9a-f]{12}\)\n$/);
  t.is(err, "");
  t.is(exitCode, 0);
});

test("weir validate shows mistakes and leaves with 1", async (t) => {
  const { out, err, exitCode } = await run(addValidateCommand, ["validate", "--policies", "nowhere"]);
  t.is(out, "");
  t.is(
    err,
    "nowhere:1:1: error[WEIR_FILE_UNREADABLE]: the file could not be read: there is no such file or folder\n  = the folder of the policies is named by --policies, or by policies: in weir.yaml\n\n1 mistake\n",
  );
  t.is(exitCode, 1);
});

test("weir validate --json is one object", async (t) => {
  const wrong = await run(addValidateCommand, ["validate", "--json", "--policies", "nowhere"]);
  t.like(JSON.parse(wrong.out), {
    ok: false,
    omitted: 0,
    problems: [{ code: "WEIR_FILE_UNREADABLE", line: 1, column: 1 }],
  });
  t.is(wrong.exitCode, 1);
  const fine = await run(addValidateCommand, ["validate", "--json", "--config", "policies/weir.yaml"]);
  t.like(JSON.parse(fine.out), { ok: true, problems: [] });
  t.is(fine.exitCode, 0);
});

test("weir schema prints the schema of policies, or of weir.yaml", async (t) => {
  for (const args of [["schema"], ["schema", "policy"]])
    t.deepEqual(JSON.parse((await run(addSchemaCommand, args)).out), JSON.parse(JSON.stringify(policySchema())));
  t.deepEqual(
    JSON.parse((await run(addSchemaCommand, ["schema", "weir"])).out),
    JSON.parse(JSON.stringify(weirSchema())),
  );
});

test("the help of validate shows what a mistake looks like, as it looks", async (t) => {
  const { out } = await run(addValidateCommand, ["validate", "--help"]);
  const cases = parse(read("test/cases/problems/shape.yaml")) as readonly { printed?: string }[];
  const printed = cases[0]!.printed!.trimEnd().split("\n").slice(1);
  for (const line of printed) t.true(out.includes(line), line);
  t.regex((await run(addSchemaCommand, ["schema", "--help"])).out, /Example:\n {2}\$ weir schema policy/);
});
