import type { Problem } from "../../policy/problem.ts";
import type { Place } from "../../policy/snapshot.ts";
import type { Difference } from "./difference.ts";
import type { Tried } from "./trace.ts";

/** What came of a run. */
export interface RunResult {
  readonly files: readonly FileResult[];
  readonly passed: number;
  readonly failed: number;
  /** Rules of the policies under test that no case reached, sorted. */
  readonly unreached: readonly Unreached[];
}

export interface FileResult {
  /** The path as people are shown it. */
  readonly file: string;
  /** What is wrong with the test file or with the policies under test; no case was run then. */
  readonly problems: readonly Problem[];
  readonly cases: readonly CaseResult[];
}

export interface CaseResult {
  readonly name: string;
  readonly place: Place;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** Left out: the case passed. */
  readonly failure?: Failure;
}

/** The first step that is not as expected. The steps after it were not done. */
export interface Failure {
  readonly place: Place;
  /** Which step, from 1, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Which repetition of the step, from 1, of how many. */
  readonly time: number;
  readonly times: number;
  readonly differences: readonly Difference[];
  readonly tried: readonly Tried[];
}

export interface Unreached {
  readonly rule: string;
  readonly place: Place;
}

/** Whether all files are in order and all cases passed. */
export function isGood({ files, failed }: RunResult): boolean {
  return failed === 0 && files.every(({ problems }) => problems.every(({ severity }) => severity !== "error"));
}
