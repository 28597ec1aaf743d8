import { readFileSync } from "node:fs";
import test from "ava";
import { parse } from "yaml";
import { Layout } from "../../src/attributes/layout.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import { parseJsonValue, parseValue } from "../../src/attributes/text.ts";
import type { Value } from "../../src/attributes/value.ts";
import { evaluateOnce } from "../../src/cli/evaluation.ts";
import { compileExpression, typeName } from "../../src/expression/index.ts";
import { library } from "../../src/expression/library/index.ts";
import { macroNames } from "../../src/expression/macro.ts";

const page = readFileSync(new URL("../../../docs/expressions.md", import.meta.url), "utf8");

const block = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;
const attributes = new Map<string, Value>(
  Object.entries(parse(block, { schema: "core" }) as Record<string, unknown>).map(([name, given]) => {
    const { type } = standardVocabulary.get(name)!;
    return [name, parseJsonValue(type, given) ?? parseValue(type, String(given))!];
  }),
);

/** The rows of the tables whose header begins with these cells, each row as its cells. */
function rows(...header: readonly string[]): string[][] {
  const cells = (line: string): string[] =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\\|", "|"));
  const tables = page
    .split("\n\n")
    .filter((table) => header.every((name, i) => cells(table.split("\n")[0]!)[i] === name));
  return tables.flatMap((table) => table.trim().split("\n").slice(2).map(cells));
}

/** What stands in a cell between back quotes. */
function code(cell: string): string {
  return /^`(.*)`$/.exec(cell)![1]!;
}

const examples = rows("expression", "gives").map(([expression, gives]) => [code(expression!), code(gives!)] as const);

test("each literal that the page shows is of the type it stands beside", (t) => {
  for (const [type, literals] of rows("type", "literals"))
    for (const [, literal] of literals!.matchAll(/`([^`]+)`/g)) {
      const compiled = compileExpression(literal!, { vocabulary: new Map(), layout: new Layout(), phase: "check" });
      const found =
        compiled.expression === undefined ? compiled.problems[0]!.message : typeName(compiled.expression.type);
      t.is(found.split("(")[0], code(type!).split("(")[0], literal);
    }
});

test("the page has its examples", (t) => {
  t.true(examples.length > 100, `${examples.length}`);
});

for (const [expression, expected] of examples) {
  test(`${expression} gives ${expected}`, (t) => {
    const found = evaluateOnce(expression, standardVocabulary, attributes);
    const [kind, message] = expected.split(/: (.*)/s) as [string, string];
    if (expected === "absent") {
      t.is(found.kind, "fault");
      t.regex(found.kind === "fault" ? found.message : "", /absent/);
    } else if (kind === "fault")
      t.true(found.kind === "fault" && found.message.includes(message), JSON.stringify(found));
    else if (kind === "problem")
      t.true(found.kind === "problems" && found.problems[0]!.message.includes(message), JSON.stringify(found));
    else if (found.kind === "value") {
      const { type, value } = found.value;
      t.deepEqual(type === "INT64" || type === "UINT64" ? Number(value) : value, JSON.parse(expected));
    } else t.fail(JSON.stringify(found));
  });
}

test("the page shows every function and macro", (t) => {
  const names = [...library.keys(), ...macroNames].filter((name) => /^\w/.test(name));
  // `dyn` stands among the types, `existsOne` is the same as `exists_one`.
  const missing = names.filter((name) => !page.includes(`${name}(`) && name !== "existsOne");
  t.deepEqual(missing, []);
});
