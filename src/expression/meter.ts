import { Fault } from "../attributes/fault.ts";

/**
 * Counts the steps of one evaluation, so that no expression hangs the hub: an iteration of a macro, a comparison of two
 * elements, some length of text that is made or searched inside an iteration. An expression has one and starts it anew
 * at each evaluation.
 */
export class Meter {
  readonly #most: number;
  #left: number;

  constructor(most: number) {
    this.#most = most;
    this.#left = most;
  }

  restart(): void {
    this.#left = this.#most;
  }

  /** Counts steps; `false` when there are none left. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }
}

export const tooCostly = new Fault("the expression takes more steps than limits.expressionCost allows");
