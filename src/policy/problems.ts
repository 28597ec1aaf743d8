import type { Problem } from "./problem.ts";

/** More problems than this are counted and not kept: nobody reads them, and a hostile file has as many as it has lines. */
export const maxProblems = 1000;

/** Gathers the problems of one run. A problem that comes again (through a YAML alias) is kept once. */
export class Problems {
  readonly #kept = new Map<string, Problem>();
  #errors = 0;
  #omitted = 0;

  add(problem: Problem): void {
    const key = `${problem.file}:${problem.line}:${problem.column}:${problem.code}:${problem.message}`;
    if (this.#kept.has(key)) return;
    if (problem.severity === "error") this.#errors++;
    if (this.full) this.#omitted++;
    else this.#kept.set(key, problem);
  }

  /** Counts an error that need not be worked out, because no more are kept. */
  omit(): void {
    this.#errors++;
    this.#omitted++;
  }

  /** Whether no more problems are kept. */
  get full(): boolean {
    return this.#kept.size >= maxProblems;
  }

  /** How many errors there were so far. */
  get errors(): number {
    return this.#errors;
  }

  /** How many problems were counted and not kept. */
  get omitted(): number {
    return this.#omitted;
  }

  /** By file, line and column. */
  sorted(): readonly Problem[] {
    return [...this.#kept.values()].sort(
      (a, b) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column || compareText(a.code, b.code),
    );
  }
}

/** Below 0, 0 or above 0 as `a` sorts before, with or after `b`, by code units: the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
