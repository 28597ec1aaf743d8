import type { Timers } from "../util/timers.ts";

/** Something that has a deadline, by a clock that is never set. */
export interface Expiring {
  readonly expiresMs: number;
  /** Whether it is over, so that its deadline matters no more. */
  readonly isOver: boolean;
  expire(): void;
}

/** How late a deadline may be noticed, and how many such steps the wheel has. */
const stepMs = 10;
const steps = 512;

/**
 * Deadlines of calls: one timer for all of them, which runs only while a call waits. A call that is over within the turn
 * of the event loop in which it began, as most are, costs next to nothing.
 */
export class Deadlines {
  readonly #timers: Timers;
  readonly #monotonic: () => number;
  readonly #soon: (job: () => void) => void;
  /** What was added in this turn. */
  #fresh: Expiring[] = [];
  /** A hashed wheel: what expires in a step stands in the step's place, together with what expires whole rounds later. */
  readonly #wheel = Array.from({ length: steps }, () => new Set<Expiring>());
  #count = 0;
  #step: number;
  #isWaiting = false;

  /** `soon` runs a job when this turn of the event loop is over. */
  constructor(timers: Timers, monotonic: () => number, soon: (job: () => void) => void = process.nextTick) {
    this.#soon = soon;
    this.#timers = timers;
    this.#monotonic = monotonic;
    this.#step = stepOf(monotonic());
  }

  add(expiring: Expiring): void {
    this.#fresh.push(expiring);
    if (this.#fresh.length === 1) this.#soon(() => this.#settle());
  }

  /** What is over need not be waited for. */
  remove(expiring: Expiring): void {
    if (this.#placeOf(expiring).delete(expiring)) this.#count--;
  }

  /** Puts what was added on the wheel, but for what is over already. */
  #settle(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    const waiting = fresh.filter(({ isOver }) => !isOver);
    if (waiting.length === 0) return;
    if (this.#count === 0) {
      this.#step = stepOf(this.#monotonic());
      this.#wait();
    }
    this.#count += waiting.length;
    for (const expiring of waiting) this.#placeOf(expiring).add(expiring);
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#timers.after(stepMs, () => {
      this.#isWaiting = false;
      this.#turn();
    });
  }

  #turn(): void {
    const nowMs = this.#monotonic();
    const now = stepOf(nowMs);
    // After a long pause of the process, one round sees every place.
    for (let step = Math.max(this.#step, now - steps + 1); step <= now; step++) {
      const place = this.#wheel[step % steps]!;
      for (const expiring of place) {
        if (expiring.expiresMs > nowMs) continue;
        place.delete(expiring);
        this.#count--;
        expiring.expire();
      }
    }
    this.#step = now;
    if (this.#count > 0) this.#wait();
  }

  #placeOf({ expiresMs }: Expiring): Set<Expiring> {
    // What has expired before it came here is found with the next turn.
    return this.#wheel[Math.max(stepOf(expiresMs), this.#step) % steps]!;
  }
}

function stepOf(ms: number): number {
  return Math.floor(ms / stepMs);
}
