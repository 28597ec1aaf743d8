/** The project's own decision cases, in the format that operators write: one test for each case. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { builtinAdapters } from "../../adapters/index.ts";
import { createCoverage } from "../../src/cli/policy-test/coverage.ts";
import { findTestFiles } from "../../src/cli/policy-test/find.ts";
import { formatFailure } from "../../src/cli/policy-test/report-text.ts";
import { runCase } from "../../src/cli/policy-test/run.ts";
import { loadSuite } from "../../src/cli/policy-test/suite.ts";
import { formatProblem } from "../../src/policy/index.ts";

const cwd = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const options = { cwd, adapters: builtinAdapters, monotonic: () => 0 };
const coverage = createCoverage();

// ava wants all tests declared at once, so everything is loaded before the first.
const paths = await findTestFiles(["test/cases/decisions", "policies"], cwd);
const files = await Promise.all(
  paths.map(async (path) => ({ file: path.slice(cwd.length + 1), loaded: await loadSuite(path, options) })),
);

for (const { file, loaded } of files) {
  if ("problems" in loaded) {
    test(`${file} is in order`, (t) => t.fail(loaded.problems.map((problem) => formatProblem(problem)).join("\n")));
    continue;
  }
  const { suite } = loaded;
  coverage.add(suite.snapshot);
  for (const each of suite.test.cases) {
    test(`${file}: ${each.name}`, async (t) => {
      const { failure } = await runCase(each, suite, options, coverage);
      t.is(failure && formatFailure(failure).join("\n"), undefined);
    });
  }
}

test.after("every rule is reached by some case", (t) => {
  t.deepEqual(
    coverage.unreached().map(({ rule, place }) => `${place.file}:${place.line} ${rule}`),
    [],
  );
});
