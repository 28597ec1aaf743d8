import { fillBag, mergeGiven } from "./attributes.ts";
import { compare } from "./compare.ts";
import { createCoverage } from "./coverage.ts";
import type { Coverage } from "./coverage.ts";
import type { Difference } from "./difference.ts";
import { shownPath } from "./find.ts";
import type { CaseResult, Failure, FileResult, RunResult } from "./result.ts";
import { loadSuite } from "./suite.ts";
import type { Suite, SuiteOptions } from "./suite.ts";
import type { Step, TestCase } from "./test-file.ts";
import { trace } from "./trace.ts";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";

export interface RunOptions extends SuiteOptions {
  /** Which cases are run. Default: all. */
  readonly selects?: (file: string, name: string) => boolean;
  /** Milliseconds of a clock that is never set; for how long a case takes. */
  readonly monotonic: () => number;
}

/** Runs test files, given by absolute paths, one after the other. */
export async function runTests(paths: readonly string[], options: RunOptions): Promise<RunResult> {
  const coverage = createCoverage();
  const files: FileResult[] = [];
  for (const path of paths) files.push(await runFile(path, options, coverage));
  const cases = files.flatMap((file) => file.cases);
  const failed = cases.filter(({ failure }) => failure !== undefined).length;
  // Of a run of some cases, what the others would have reached is not known.
  const unreached = options.selects === undefined ? coverage.unreached() : [];
  return { files, passed: cases.length - failed, failed, unreached };
}

async function runFile(path: string, options: RunOptions, coverage: Coverage): Promise<FileResult> {
  const file = shownPath(path, options.cwd);
  const loaded = await loadSuite(path, options);
  if ("problems" in loaded) return { file, problems: loaded.problems, cases: [] };
  const { suite } = loaded;
  coverage.add(suite.snapshot);
  const cases: CaseResult[] = [];
  for (const each of suite.test.cases) {
    if (options.selects?.(file, each.name) === false) continue;
    cases.push(await runCase(each, suite, options, coverage));
  }
  return { file, problems: [], cases };
}

/** Runs one case in a world of its own. */
export async function runCase(
  testCase: TestCase,
  suite: Suite,
  { adapters, monotonic }: Pick<RunOptions, "adapters" | "monotonic">,
  coverage: Coverage,
): Promise<CaseResult> {
  const { name, place } = testCase;
  const start = monotonic();
  const failure = await runSteps(testCase, suite, adapters, coverage);
  return { name, place, ms: monotonic() - start, ...(failure !== undefined && { failure }) };
}

async function runSteps(
  testCase: TestCase,
  suite: Suite,
  adapters: RunOptions["adapters"],
  coverage: Coverage,
): Promise<Failure | undefined> {
  const { steps, place } = testCase;
  const failed = (difference: Difference): Failure => ({
    place,
    step: 1,
    steps: steps.length,
    time: 1,
    times: 1,
    differences: [difference],
    tried: [],
  });
  let world: World;
  try {
    world = await createWorld({ suite, testCase, adapters });
  } catch (error) {
    return failed({ what: "start", expected: "the adapters start", found: (error as Error).message });
  }
  try {
    /** Of the steps so far: the id of each one's last decision. */
    const ids: (string | undefined)[] = [];
    for (const [index, step] of steps.entries()) {
      const failure = await runStep(testCase, step, index, suite, world, coverage, ids);
      if (failure !== undefined) return failure;
    }
    return undefined;
  } finally {
    await world.close();
  }
}

async function runStep(
  testCase: TestCase,
  step: Step,
  index: number,
  { test, snapshot }: Suite,
  world: World,
  coverage: Coverage,
  ids: (string | undefined)[],
): Promise<Failure | undefined> {
  const about = step.of && { id: ids[step.of.value - 1]!, at: testCase.steps[step.of.value - 1]!.asked.at ?? "check" };
  const attributes = mergeGiven(test, snapshot.vocabulary, [testCase.given, step.given]);
  await world.advance(step.afterMs);
  for (let time = 1; time <= step.times; time++) {
    if (time > 1) await world.advance(step.everyMs);
    if (step.kind !== "check" && step.kind !== "report" && step.kind !== "ongoing") {
      await world.change(step.kind, about!.id);
      continue;
    }
    const bag = fillBag(step.kind === "check" ? snapshot.layout : snapshot.reportLayout, attributes);
    if (about !== undefined) {
      const slot = bag.layout.find(`${about.at}.decision_id`);
      if (slot !== undefined) bag.set(slot, about.id);
    }
    const outcome = await world.act(step, bag);
    ids[index] = outcome.decision?.id;
    const differences = [
      ...outcome.unanswered.map(unanswered),
      ...(step.expect === undefined ? [] : compare(step.expect, outcome, bag)),
    ];
    // What was tried is the same each time, but for limits; once is enough to tell which rules were reached.
    if (differences.length === 0 && time > 1) continue;
    const tried = (outcome.bags ?? [bag]).flatMap((each) => trace(snapshot, step, each, outcome));
    coverage.note(snapshot, tried);
    if (differences.length === 0) continue;
    return {
      place: step.place,
      step: index + 1,
      steps: testCase.steps.length,
      time,
      times: step.times,
      differences,
      tried,
    };
  }
  return undefined;
}

function unanswered(adapter: string): Difference {
  return { what: `adapters.${adapter}`, expected: "what it answers: tests do not call out", found: null };
}
