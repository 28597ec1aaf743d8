import type { HoldChange } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { AdapterCalls } from "../adapter-call.ts";
import { Failure } from "../failure.ts";

/** How many changes go to the store in one call, and how many may wait for it. */
const batchSize = 100;
const maxWaiting = 10_000;

/**
 * Tells one store which requests are over: at once where it answers at once, else one call after the other, each with
 * what has come meanwhile, so that a burst of reports leaves the store to the checks. What cannot be told is dropped and
 * counted; what those decisions hold then ends by itself.
 */
export class Endings {
  readonly #calls: AdapterCalls;
  readonly #observer: Observer;
  #waiting: HoldChange[] = [];
  #isCalling = false;

  constructor(calls: AdapterCalls, observer: Observer) {
    this.#calls = calls;
    this.#observer = observer;
  }

  push(change: HoldChange): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#observer.dropped("hold", "queue_full", 1);
      return;
    }
    this.#waiting.push(change);
    if (!this.#isCalling) this.#tell();
  }

  #tell(): void {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchSize);
      const answer = this.#calls.holds(batch);
      const ended = (outcome: unknown): void => {
        if (outcome instanceof Failure) this.#observer.dropped("hold", outcome.kind, batch.length);
      };
      if (!(answer instanceof Promise)) {
        ended(answer);
        continue;
      }
      this.#isCalling = true;
      void answer.then((outcome) => {
        this.#isCalling = false;
        ended(outcome);
        this.#tell();
      });
      return;
    }
  }
}
