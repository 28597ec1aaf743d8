import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { parse } from "yaml";
import { compilePolicies, formatProblem } from "../../src/policy/index.ts";
import { errorCodes } from "../../src/util/error-codes.ts";
import { adapters } from "./adapters.ts";

/**
 * One broken set of files and all that is said of it. `files` are policy files by path, `config` is weir.yaml (left out: one
 * that names the adapters list and geo);
 * `message` and `hint` are parts of what is said, `underlined` is the text above the carets.
 */
interface Case {
  readonly name: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly config?: string;
  readonly problems: readonly {
    readonly at: string;
    readonly code: string;
    readonly severity?: "error" | "warning";
    readonly message?: string;
    readonly hint?: string | null;
    readonly underlined?: string;
  }[];
  /** For some cases: all that is printed. */
  readonly printed?: string;
}

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../test/cases/problems");
const seen = new Set<string>();

for (const file of readdirSync(folder).sort()) {
  for (const each of parse(readFileSync(join(folder, file), "utf8")) as readonly Case[]) {
    test(`${file}: ${each.name}`, async (t) => {
      const compiled = await compilePolicies({
        config: { path: "weir.yaml", text: each.config ?? "adapters: { list: {}, geo: {} }" },
        files: Object.entries(each.files ?? {}).map(([path, text]) => ({ path, text })),
        adapters,
        folder: "/",
      });
      const found = "problems" in compiled ? compiled.problems : compiled.warnings;
      const printed = found.map((problem) => formatProblem(problem)).join("\n\n");
      for (const { code } of found) seen.add(code);
      t.deepEqual(
        found.map(({ file: path, line, column, code }) => `${path}:${line}:${column} ${code}`),
        each.problems.map(({ at, code }) => `${at} ${code}`),
        printed,
      );
      for (const [i, expected] of each.problems.entries()) {
        const problem = found[i]!;
        t.is(problem.severity, expected.severity ?? "error", printed);
        if (expected.message !== undefined) t.true(problem.message.includes(expected.message), printed);
        if (expected.hint !== undefined)
          t.true((problem.hint ?? "(none)").includes(expected.hint ?? "(none)"), printed);
        const from = problem.column - (problem.textColumn ?? 1);
        if (expected.underlined !== undefined)
          t.is(problem.text?.slice(from, from + problem.length), expected.underlined, printed);
      }
      t.is(
        "problems" in compiled,
        each.problems.some(({ severity }) => severity !== "warning"),
      );
      if (each.printed !== undefined) t.is(`${printed}\n`, each.printed);
    });
  }
}

test.after("every code for mistakes in files has its case", (t) => {
  // These need a disk or a module, and are tested where those are.
  const elsewhere = ["WEIR_FILE_UNREADABLE"];
  const codes = Object.keys(errorCodes).filter((code) =>
    /^WEIR_(FILE|YAML|POLICY|EXPRESSION|ADAPTER_(CONFIG|LOAD))/.test(code),
  );
  t.deepEqual(
    codes.filter((code) => !seen.has(code) && !elsewhere.includes(code)),
    [],
  );
});
