import { gunzip, inflate } from "node:zlib";

/** How messages may be compressed (`grpc-encoding`). */
export const encodings = ["identity", "deflate", "gzip"] as const;
export type Encoding = (typeof encodings)[number];

/** How many messages are inflated at the same time. Those that wait are bounded by what calls may hold. */
const atOnce = 8;

/** Why a message could not be inflated. */
export type InflateFailure = "malformed" | "too_large";

export type Inflated = (outcome: Buffer | InflateFailure) => void;

/** Inflates messages, beside the event loop, up to the size that a message may have. */
export class Inflater {
  readonly #maxBytes: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Calls `done` later, once. */
  inflate(bytes: Uint8Array, encoding: Exclude<Encoding, "identity">, done: Inflated): void {
    const run = (): void => {
      this.#running++;
      (encoding === "gzip" ? gunzip : inflate)(bytes, { maxOutputLength: this.#maxBytes }, (error, message) => {
        this.#running--;
        this.#waiting.shift()?.();
        if (error === null) done(message);
        else done((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? "too_large" : "malformed");
      });
    };
    if (this.#running < atOnce) run();
    else this.#waiting.push(run);
  }
}
