import type { MetricRule, Snapshot } from "../../policy/snapshot.ts";

/**
 * What rules have told of one request that is still under way, so that they tell no more than what is new. Whoever tells
 * of the request in several records makes one, with `rules` and `sums` empty, and keeps it from the first to the last.
 */
export interface Told {
  /** The rules that have a sum, `policy/rule`. A reload may bring others. */
  rules: readonly string[];
  /** What each rule has told so far; `NaN`: it begins with what is there now. */
  sums: number[];
  /**
   * What rules have told that have no sum yet: 0, nothing; `NaN`, it is not known, since records of the request may have
   * come before that were told elsewhere.
   */
  readonly before: number;
}

/** The rules of a snapshot that tell of requests while these are under way (`ongoing: true`). */
export class OngoingRules {
  readonly #ids: readonly string[];

  constructor({ reports }: Pick<Snapshot, "reports">) {
    this.#ids = reports.filter((rule) => rule.kind === "metric" && rule.ongoing === true).map(({ id }) => id);
  }

  get isEmpty(): boolean {
    return this.#ids.length === 0;
  }

  /** Where the sum of a rule stands. */
  position({ id }: MetricRule): number {
    return this.#ids.indexOf(id);
  }

  /**
   * What was told of a request by these rules, which may be changed in place. A rule that a reload brought begins with
   * what is there now: what it would have told before, or did before another reload took it away, is not told again.
   */
  sumsOf(told: Told): number[] {
    const { rules, sums, before } = told;
    if (rules === this.#ids) return sums;
    const otherwise = rules.length > 0 ? NaN : before;
    told.sums = this.#ids.map((id) => sums[rules.indexOf(id)] ?? otherwise);
    told.rules = this.#ids;
    return told.sums;
  }
}

/** What is new of a sum. Entries may overtake each other, so that it may be less than it was. */
export function growthOf(sums: number[], position: number, value: number): number {
  const before = sums[position]!;
  if (!(value <= before)) sums[position] = value;
  return value > before ? value - before : 0;
}
