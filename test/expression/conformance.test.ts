import { readFileSync } from "node:fs";
import test from "ava";
import { skipOf, skips } from "./conformance/skips.ts";
import { run, specTests } from "./conformance/suite.ts";

/** The files that make up the language's core; the others are extensions, options or protobuf. */
const core = [
  "basic",
  "comparisons",
  "conversions",
  "fields",
  "fp_math",
  "integer_math",
  "lists",
  "logic",
  "macros",
  "namespace",
  "parse",
  "plumbing",
  "string",
  "timestamps",
];

const results = specTests().map((spec) => ({ spec, skip: skipOf(spec), outcome: run(spec) }));
const files = [...new Set(results.map(({ spec }) => spec.file))];

for (const file of files) {
  test(`${file}: every test of the specification that is not skipped passes`, (t) => {
    const failed = results
      .filter(({ spec, skip, outcome }) => spec.file === file && skip === undefined && !outcome.passed)
      .map(({ spec, outcome }) => `${spec.name}: ${spec.expr} ${outcome.passed ? "" : outcome.why}`);
    t.deepEqual(failed, []);
  });
}

test("no test that is skipped would pass, and no reason to skip is left over", (t) => {
  const passing = results.filter(({ skip, outcome }) => skip !== undefined && outcome.passed);
  t.deepEqual(
    passing.map(({ spec }) => `${spec.file}/${spec.name}: ${spec.expr}`),
    [],
  );
  t.deepEqual(
    skips.filter((skip) => !results.some((result) => result.skip === skip)),
    [],
  );
});

test("at least 99 % of the core passes", (t) => {
  const all = results.filter(({ spec }) => core.includes(spec.file));
  t.true(all.length > 1000, "the specification's data are there");
  t.true(all.filter(({ outcome }) => outcome.passed).length / all.length >= 0.99);
});

test("the README's tables say what passes of each file and of the core, and why the rest is skipped", (t) => {
  const readme = readFileSync(new URL("../../../src/expression/README.md", import.meta.url), "utf8");
  const share = (all: typeof results) => `${all.filter(({ outcome }) => outcome.passed).length} / ${all.length}`;
  const rows = [...readme.matchAll(/^\| (\w+) +\| +(\d+ \/ \d+) +\|(?: (.*?) +\|)?$/gm)].map(
    ([, file, passed, reason = ""]) => `${file}: ${passed} ${reason.trim()}`,
  );
  const found = files.map((file) => {
    const reason = skips.find((skip) => skip.file === file)?.reason ?? "";
    return `${file}: ${share(results.filter(({ spec }) => spec.file === file))} ${reason}`;
  });
  t.deepEqual(rows.toSorted(), found.toSorted());
  const whole = share(results.filter(({ spec }) => core.includes(spec.file)));
  t.true(readme.includes(`| **all of the core** | **${whole}** |`));
});
