import type { Limit } from "weir/sdk";

/** What was granted to one key beyond its limit. */
interface Extra {
  readonly units: number;
  readonly untilMs: number;
  /** The limits that the key was charged to, each with so many units more. */
  readonly raised: WeakMap<Limit, Limit>;
}

/** The most keys with something granted at once: people grant, not requests. */
const maxExtras = 10_000;

/** What people have granted to single keys beyond their limits. While there is none, charges do not look. */
export class Extras {
  readonly #extras = new Map<string, Extra>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The limit that a key is charged to now. */
  limitOf(key: string, limit: Limit): Limit {
    if (this.#extras.size === 0) return limit;
    const extra = this.#extras.get(key);
    if (extra === undefined) return limit;
    if (this.#now() >= extra.untilMs) {
      this.#extras.delete(key);
      return limit;
    }
    let raised = extra.raised.get(limit);
    if (raised === undefined) extra.raised.set(limit, (raised = raisedBy(limit, extra.units)));
    return raised;
  }

  set(key: string, units: number, untilMs: number): void {
    this.#extras.delete(key);
    if (units === 0) return;
    if (this.#extras.size >= maxExtras) this.#forgetPast();
    if (this.#extras.size >= maxExtras) throw new RangeError(`more than ${maxExtras} keys have units granted`);
    this.#extras.set(key, { units, untilMs, raised: new WeakMap() });
  }

  /** Takes back what was granted to keys that begin with `prefix`. */
  clear(prefix: string): void {
    for (const key of this.#extras.keys()) if (key.startsWith(prefix)) this.#extras.delete(key);
  }

  #forgetPast(): void {
    const now = this.#now();
    for (const [key, { untilMs }] of this.#extras) if (untilMs <= now) this.#extras.delete(key);
  }
}

/** The same limit with room for more units. The rate of a token bucket stays: what is granted is granted once. */
function raisedBy(limit: Limit, units: number): Limit {
  if (limit.algorithm === "token-bucket") return { ...limit, burst: limit.burst + units };
  return { ...limit, amount: limit.amount + units };
}
