import type { Outgoing } from "../call.ts";

/**
 * Keeps a stream within its bounds: so many requests at work, and no more answers than the client reads. Ends the stream
 * when the client has half-closed it and the last answer is sent.
 */
export class Pace {
  readonly #out: Outgoing;
  readonly #maxAtWork: number;
  #atWork = 0;
  #clientSlow = false;
  #halfClosed = false;
  #gone = false;
  #resume: (() => void) | undefined;

  constructor(out: Outgoing, maxAtWork: number) {
    this.#out = out;
    this.#maxAtWork = maxAtWork;
  }

  /** Sends an answer that was there at once. */
  send(answer: Uint8Array): void {
    if (!this.#gone && !this.#out.send(answer)) this.#clientSlow = true;
  }

  /** A request is at work; {@link Pace.finish} brings its answer. */
  start(): void {
    this.#atWork++;
  }

  finish(answer: Uint8Array): void {
    this.send(answer);
    this.#atWork--;
    this.#goOn();
  }

  /** What a message handler returns: a promise for as long as no further message should come. */
  rest(): Promise<void> | undefined {
    if (this.#mayRead()) return undefined;
    return new Promise((resolve) => (this.#resume = resolve));
  }

  halfClose(): void {
    this.#halfClosed = true;
    this.#goOn();
  }

  drained(): void {
    this.#clientSlow = false;
    this.#goOn();
  }

  gone(): void {
    this.#gone = true;
    this.#resume?.();
  }

  #mayRead(): boolean {
    return this.#gone || (!this.#clientSlow && this.#atWork < this.#maxAtWork);
  }

  #goOn(): void {
    if (this.#mayRead()) {
      this.#resume?.();
      this.#resume = undefined;
    }
    if (!this.#halfClosed || this.#gone || this.#atWork > 0) return;
    this.#gone = true;
    this.#out.end();
  }
}
