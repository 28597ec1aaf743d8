import { relative } from "node:path";
import { builtinAdapters } from "../../adapters/index.ts";
import { Fault } from "../attributes/fault.ts";
import { formatValue } from "../attributes/text.ts";
import { readTextFile, Unreadable } from "../util/text-file.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import { fillBag, mergeGiven, type Attributes } from "./policy-test/attributes.ts";
import { findTestFiles } from "./policy-test/find.ts";
import { readTestFile } from "./policy-test/read-test-file.ts";
import type { Step, TestCase, TestFile } from "./policy-test/test-file.ts";
import { createWorld } from "./policy-test/world.ts";

/** Two commands to paste into a shell: one that a hub allows, one that it refuses. */
export interface Examples {
  readonly allow: string;
  readonly deny: string;
}

const maxTestFileBytes = 256 * 1024;
/** How many test files are looked at: this is a courtesy at start, not a search. */
const maxTestFiles = 50;

/**
 * Finds examples in the tests that lie beside the policies: the first file with one case that the whole policy set
 * allows and one that it refuses. `undefined` when there is none.
 */
export async function pasteableChecks(
  snapshot: Snapshot,
  hub: { cwd: string; address: string; options: readonly string[] },
): Promise<Examples | undefined> {
  const files = await findTestFiles([snapshot.settings.policies], hub.cwd).catch(() => []);
  for (const path of files.slice(0, maxTestFiles)) {
    const text = await readTextFile(path, maxTestFileBytes);
    if (text instanceof Unreadable) continue;
    const read = readTestFile(relative(hub.cwd, path), text);
    if ("problems" in read) continue;
    const found: { allow?: string; deny?: string } = {};
    for (const testCase of read.test.cases) {
      const step = onlyStep(testCase, read.test);
      if (step === undefined) continue;
      const attributes = mergeGiven(read.test, snapshot.vocabulary, [testCase.given, step.given]);
      const verdict = await verdictOf(read.test, testCase, step, snapshot, attributes);
      if (verdict !== undefined) found[verdict] ??= commandFor(attributes, hub);
    }
    if (found.allow !== undefined && found.deny !== undefined) return { allow: found.allow, deny: found.deny };
  }
  return undefined;
}

/** The one step of a case that a single command can repeat. */
function onlyStep({ steps, answers }: TestCase, test: TestFile): Step | undefined {
  const [step, second] = steps;
  if (step === undefined || second !== undefined || step.kind !== "check" || step.times !== 1) return undefined;
  const plain = answers.size + step.answers.size + test.answers.size === 0 && step.asked.quotas === undefined;
  return plain ? step : undefined;
}

/** What the whole policy set says of it, with limits of its own, so that nothing of the hub is charged. */
async function verdictOf(
  test: TestFile,
  testCase: TestCase,
  step: Step,
  snapshot: Snapshot,
  attributes: Attributes,
): Promise<"allow" | "deny" | undefined> {
  if ([...attributes.values()].some((value) => value instanceof Fault)) return undefined;
  try {
    const world = await createWorld({ suite: { test, snapshot }, testCase, adapters: builtinAdapters });
    try {
      const { decision, unanswered } = await world.act(step, fillBag(snapshot.layout, attributes));
      if (decision === undefined || unanswered.length > 0) return undefined;
      return decision.allowed ? "allow" : "deny";
    } finally {
      await world.close();
    }
  } catch {
    // A list that cannot be had here: the case is no example.
    return undefined;
  }
}

function commandFor(
  attributes: Attributes,
  { address, options }: { address: string; options: readonly string[] },
): string {
  const words = [...attributes].flatMap(([name, value]) => {
    if (value instanceof Map) return [...value].map(([key, text]) => `${name}[${key}]=${text}`);
    return value instanceof Fault ? [] : [`${name}=${formatValue(value)}`];
  });
  const at = address === "127.0.0.1:9091" ? [] : ["--address", address];
  return ["npx weir check", ...at, ...[...options, ...words].map(quoted)].join(" ");
}

/** A word as a POSIX shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
