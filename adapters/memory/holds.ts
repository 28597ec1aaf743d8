import type { Limit } from "weir/sdk";

/** What one charge took. */
export interface Held {
  readonly limit: Limit;
  readonly key: string;
  /** Of its charge, if it had one. */
  readonly dedupId: string | undefined;
  units: number;
  /** When its units count no more (see `Counter.goneMs`). */
  goneMs: number;
  /** Until when something may be done with it; in the past once that was done. */
  untilMs: number;
}

/** The same count twice in one decision. Where units ended at different times, the earlier ones end by themselves. */
function join(first: Held, second: Held, now: number): void {
  const { amount, windowMs, algorithm } = second.limit;
  const isGone = first.untilMs <= now;
  if (isGone || (algorithm !== "token-bucket" && first.goneMs !== second.goneMs)) {
    first.units = second.units;
    first.goneMs = second.goneMs;
  } else {
    if (algorithm === "token-bucket") first.goneMs = Math.max(first.goneMs, now) + (second.units * windowMs) / amount;
    first.units += second.units;
  }
  first.untilMs = second.untilMs;
}

/** How many decisions are looked at for each new one. */
const sweepAlways = 2;

/**
 * What decisions took, by their ids. A hand goes round and lets go of what nobody may ask for any more. When there is no
 * room, the decision that came first is forgotten: what it took then counts for as long as it does by itself.
 */
export class Holds {
  readonly #maxDecisions: number;
  readonly #forgotten: () => void;
  readonly #byId = new Map<string, Held[]>();
  #hand = this.#byId.entries();
  /** Stands before the first decision that was not forgotten to make room. A new one each time would pass all that are gone. */
  #first = this.#byId.keys();

  constructor(maxDecisions: number, forgotten: () => void) {
    this.#maxDecisions = maxDecisions;
    this.#forgotten = forgotten;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(id: string, held: Held, now: number): void {
    const known = this.#byId.get(id);
    if (known !== undefined) {
      const same = known.find(({ key, dedupId }) => key === held.key && dedupId === held.dedupId);
      if (same === undefined) known.push(held);
      else if (same !== held) join(same, held, now);
      return;
    }
    this.#sweep(now);
    if (this.#byId.size >= this.#maxDecisions) this.#forgetFirst();
    this.#byId.set(id, [held]);
  }

  /** What is still held under an id. */
  of(id: string, now: number): readonly Held[] {
    const known = this.#byId.get(id);
    if (known === undefined) return [];
    const held = known.filter(({ untilMs }) => untilMs > now);
    if (held.length === 0) this.#byId.delete(id);
    return held;
  }

  /** Forgets what one charge took: it was given back. */
  forget(id: string, key: string, dedupId: string | undefined): void {
    for (const held of this.#byId.get(id) ?? [])
      if (held.key === key && held.dedupId === dedupId) held.untilMs = -Infinity;
  }

  #forgetFirst(): void {
    let next = this.#first.next();
    if (next.done === true) {
      this.#first = this.#byId.keys();
      next = this.#first.next();
      if (next.done === true) return;
    }
    this.#byId.delete(next.value);
    this.#forgotten();
  }

  #sweep(now: number): void {
    for (let i = 0; i < sweepAlways; i++) {
      let next = this.#hand.next();
      if (next.done === true) {
        this.#hand = this.#byId.entries();
        next = this.#hand.next();
        if (next.done === true) return;
      }
      const [id, held] = next.value;
      if (held.every(({ untilMs }) => untilMs <= now)) this.#byId.delete(id);
    }
  }
}
