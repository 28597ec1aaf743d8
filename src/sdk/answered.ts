import type { Grant } from "./limit.ts";

/**
 * The grants of the last while, by deduplication id. Two generations, each as long as the window: a grant is remembered
 * for one window at least and two at most. When more than `maxIds` would be held, the older generation goes early;
 * whoever repeats such an id is charged again.
 */
export class Answered {
  readonly #windowMs: number;
  readonly #maxIds: number;
  readonly #forgotten: (ids: number) => void;
  #young = new Map<string, Grant>();
  #old = new Map<string, Grant>();
  #since = -Infinity;

  constructor(windowMs: number, maxIds: number, forgotten: (ids: number) => void) {
    this.#windowMs = windowMs;
    this.#maxIds = maxIds;
    this.#forgotten = forgotten;
  }

  get(id: string, now: number): Grant | undefined {
    this.#turn(now);
    return this.#young.get(id) ?? this.#old.get(id);
  }

  set(id: string, grant: Grant, now: number): void {
    this.#turn(now);
    if (this.#young.size >= this.#maxIds / 2) {
      if (this.#old.size > 0) this.#forgotten(this.#old.size);
      this.#next(now);
    }
    this.#young.set(id, { ...grant, repeated: true });
  }

  delete(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }

  #turn(now: number): void {
    if (now - this.#since < this.#windowMs) return;
    if (now - this.#since >= 2 * this.#windowMs) this.#young = new Map();
    this.#next(now);
  }

  #next(now: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#since = now;
  }
}
