import type { Problem } from "../../policy/problem.ts";
import { Problems } from "../../policy/problems.ts";
import { Reading } from "../../policy/shape/shape.ts";
import type { Node } from "../../policy/yaml/node.ts";
import { readYaml } from "../../policy/yaml/read-yaml.ts";
import { problemOfFile, sourceOf } from "../../policy/yaml/source.ts";
import { nearest } from "../../util/nearest.ts";
import { testFile } from "./shape/test-file.ts";
import type { Given, TestCase, TestFile } from "./test-file.ts";

/** Reads the text of a test file; all its mistakes at once. `file` is the path as people are shown it. */
export function readTestFile(file: string, content: string): { test: TestFile } | { problems: readonly Problem[] } {
  const problems = new Problems();
  const reading = new Reading(sourceOf(file, content), problems);
  const [document, second] = readYaml(reading.source, problems);
  if (second !== undefined) {
    reading.tell(second, { code: "WEIR_POLICY_SHAPE", message: "a test file is one document" });
  }
  if (document === undefined && problems.errors === 0) {
    const hint = 'it needs at least "cases"';
    problems.add(problemOfFile(file, { code: "WEIR_POLICY_SHAPE", message: "the file is empty", hint }));
  }
  const test = document && testFile.read(document, reading);
  if (test !== undefined) checkNames(test, reading);
  return test === undefined || problems.errors > 0 ? { problems: problems.sorted() } : { test };
}

/** Tells of fixtures that do not exist, of fixtures that use each other in a circle, and of cases of the same name. */
function checkNames({ fixtures, cases }: TestFile, reading: Reading): void {
  for (const each of [...fixtures.values(), ...cases.flatMap(givenOf)]) {
    for (const { value, node } of each.use) {
      if (fixtures.has(value)) continue;
      const near = nearest(value, fixtures.keys());
      const hint = near === undefined ? undefined : `did you mean "${near}"?`;
      reading.tell(node, { code: "WEIR_POLICY_SHAPE", message: `there is no fixture "${value}"`, hint });
    }
  }
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[], node?: Node): void => {
    if (path.includes(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(" -> ");
      reading.tell(node!, { code: "WEIR_POLICY_SHAPE", message: `fixtures that use each other: ${circle}` });
    } else if (!done.has(name)) {
      for (const used of fixtures.get(name)?.use ?? []) visit(used.value, [...path, name], used.node);
      done.add(name);
    }
  };
  for (const name of fixtures.keys()) visit(name, []);
  const seen = new Set<string>();
  for (const { name, node } of cases) {
    const hint = "give each case a name of its own";
    if (seen.has(name))
      reading.tell(node, { code: "WEIR_POLICY_DUPLICATE", message: `another case is called "${name}"`, hint });
    seen.add(name);
  }
}

/** All that a case gives, in whichever part of it. */
export function givenOf({ given, steps }: TestCase): Given[] {
  return [given, ...steps.map((step) => step.given)];
}
