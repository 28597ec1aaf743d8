import { dirname, resolve } from "node:path";
import { compilePolicies } from "../../policy/compile.ts";
import type { PolicyFile } from "../../policy/compile.ts";
import { readTextFile, Unreadable } from "../../util/text-file.ts";
import { importAdapter } from "../../policy/config/import-adapter.ts";
import type { Problem } from "../../policy/problem.ts";
import type { Snapshot } from "../../policy/snapshot.ts";
import type { Node } from "../../policy/yaml/node.ts";
import { problemOfFile } from "../../policy/yaml/source.ts";
import type { Adapter } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import { checkGiven } from "./attributes.ts";
import { findConfig, findPolicies, shownPath } from "./find.ts";
import { givenOf, readTestFile } from "./read-test-file.ts";
import { isAsked } from "./stand-in.ts";
import type { Answers, TestFile } from "./test-file.ts";

/** A test file with the policies that it tests. */
export interface Suite {
  readonly test: TestFile;
  readonly snapshot: Snapshot;
}

export interface SuiteOptions {
  readonly cwd: string;
  /** The adapters that come with Weir, by name. */
  readonly adapters: ReadonlyMap<string, Adapter>;
}

/** The largest file that is read, in bytes. */
const maxFileBytes = 4 * 1024 * 1024;

/** Reads a test file and compiles the policies it names. `path` is absolute. */
export async function loadSuite(
  path: string,
  options: SuiteOptions,
): Promise<{ suite: Suite } | { problems: readonly Problem[] }> {
  const shown = shownPath(path, options.cwd);
  const text = await readTextFile(path, maxFileBytes);
  if (text instanceof Unreadable) return { problems: [unreadable(shown, text.message)] };
  const read = readTestFile(shown, text);
  if ("problems" in read) return read;
  const { test } = read;
  const compiled = await compileFor(test, dirname(path), options);
  if (compiled === undefined) return { problems: test.reading.problems.sorted() };
  if ("problems" in compiled) return { problems: compiled.problems };
  const { snapshot } = compiled;
  for (const given of [...test.fixtures.values(), ...test.cases.flatMap(givenOf)]) {
    checkGiven(given, snapshot.vocabulary, test.reading);
  }
  const answers = [test.answers, ...test.cases.flatMap((each) => [each.answers, ...each.steps.map((s) => s.answers)])];
  for (const each of answers) checkAnswers(each, snapshot, test);
  if (test.reading.problems.errors > 0) return { problems: test.reading.problems.sorted() };
  return { suite: { test, snapshot } };
}

async function compileFor(
  { reading, config, policies }: TestFile,
  folder: string,
  options: SuiteOptions,
): Promise<{ snapshot: Snapshot } | { problems: readonly Problem[] } | undefined> {
  const show = (path: string): string => shownPath(path, options.cwd);
  const tell = (node: Node, message: string): void => reading.tell(node, { code: "WEIR_FILE_UNREADABLE", message });

  const configPath = config === undefined ? await findConfig(folder) : resolve(folder, config.value);
  let configFile: PolicyFile | undefined;
  if (configPath !== undefined) {
    const text = await readTextFile(configPath, maxFileBytes);
    if (typeof text === "string") configFile = { path: show(configPath), text };
    else if (config !== undefined) tell(config.node, `the file could not be read: ${text.message}`);
    else return { problems: [unreadable(show(configPath), text.message)] };
  }

  const paths = new Set<string>();
  if (policies === undefined) for (const file of await findPolicies(folder, configPath)) paths.add(file);
  for (const { value, node } of policies ?? []) {
    try {
      const found = await findPolicies(resolve(folder, value), configPath);
      for (const file of found) paths.add(file);
      if (found.length === 0) tell(node, "the folder has no policy files (*.yaml)");
    } catch (error) {
      tell(node, `no policy file or folder: ${(error as Error).message}`);
    }
  }
  const files: PolicyFile[] = [];
  for (const path of paths) {
    const text = await readTextFile(path, maxFileBytes);
    if (typeof text === "string") files.push({ path: show(path), text });
    else return { problems: [unreadable(show(path), text.message)] };
  }
  if (reading.problems.errors > 0) return undefined;
  return compilePolicies({
    ...(configFile !== undefined && { config: configFile }),
    files,
    adapters: options.adapters,
    folder: configPath === undefined ? folder : dirname(configPath),
    importAdapter,
  });
}

/** Tells of adapters that there are not, and of those that are never asked. */
function checkAnswers(answers: Answers, { adapters }: Snapshot, { reading }: TestFile): void {
  for (const [name, { node }] of answers) {
    const entry = adapters.get(name);
    if (entry === undefined) {
      const near = nearest(name, adapters.keys());
      const hint = near === undefined ? `there are ${[...adapters.keys()].join(", ")}` : `did you mean "${near}"?`;
      reading.tell(node, { code: "WEIR_POLICY_UNKNOWN_ADAPTER", message: `there is no adapter "${name}"`, hint });
    } else if (!isAsked(entry.adapter)) {
      const message = `the adapter "${name}" is never asked: it takes ${entry.adapter.provides.join(" and ")}`;
      const hint = 'what it takes is expected under "metrics", "logs" and "spans"';
      reading.tell(node, { code: "WEIR_POLICY_CAPABILITY", message, hint });
    }
  }
}

function unreadable(file: string, message: string): Problem {
  return problemOfFile(file, { code: "WEIR_FILE_UNREADABLE", message: `the file could not be read: ${message}` });
}
