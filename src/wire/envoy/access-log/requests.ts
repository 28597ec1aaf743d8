import type { Told } from "../../../telemetry/rules/growth.ts";
import { UnderWay } from "./under-way.ts";

/** What rules have told of each request that is still under way, so that they tell no more than what is new. */
export class Requests {
  readonly #underWay: UnderWay<Told>;

  /** `nowMs`: when the hub began to take entries. `max`: how many requests are remembered. */
  constructor(nowMs: number, max?: number) {
    this.#underWay = new UnderWay(nowMs, max);
  }

  get size(): number {
    return this.#underWay.size;
  }

  /** What was told of a request; `undefined` where none of its entries is remembered. */
  get(id: string): Told | undefined {
    return this.#underWay.get(id);
  }

  /**
   * What was told of a request that is not remembered. That is nothing, unless others may have come before: those of a log
   * may where it tells of requests under way, and began to come `sinceMs`. Left out: none may.
   */
  first(startMs: number, sinceMs: number | undefined): Told {
    const mayLack = sinceMs !== undefined && (startMs < sinceMs || this.#underWay.mayLack(startMs));
    return { rules: [], sums: [], before: mayLack ? NaN : 0 };
  }

  /** Whether the request is over, and an entry of it came late. */
  hasEnded(id: string): boolean {
    return this.#underWay.hasEnded(id);
  }

  /** Remembers what was told of a request, and that it was heard of. */
  remember(id: string, told: Told, startMs: number): void {
    this.#underWay.put(id, told, startMs);
  }

  /** The request has ended. */
  end(id: string): void {
    this.#underWay.end(id);
  }
}
