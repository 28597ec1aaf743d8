/** The most limits that are told apart. */
const maxLimits = 10_000;

/**
 * What was refused although units were free, seen from outside: those that other hubs held at that time. An upper bound
 * of what `consistency: exact` would have granted.
 */
export class Shortfall {
  readonly #units = new Map<string, number>();

  /** Notes the refusal of so many units, while other hubs held `others`. */
  refused(limit: string, units: number, others: number): void {
    if (others <= 0) return;
    const before = this.#units.get(limit);
    if (before === undefined && this.#units.size >= maxLimits) return;
    this.#units.set(limit, (before ?? 0) + Math.min(units, others));
  }

  of(limit: string): number {
    return this.#units.get(limit) ?? 0;
  }

  /** Units refused so far, by limit. */
  entries(): Iterable<[limit: string, units: number]> {
    return this.#units;
  }
}
