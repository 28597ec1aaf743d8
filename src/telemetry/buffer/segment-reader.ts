import type { FileHandle } from "node:fs/promises";
import { readRecord } from "./segment.ts";

const chunkBytes = 256 * 1024;

/** Reads the records of one segment from its beginning. */
export class SegmentReader {
  readonly #file: Pick<FileHandle, "read" | "close">;
  #held: Buffer = Buffer.alloc(0);
  /** Where in `held` the next record begins. */
  #at = 0;
  /** Where in the file `held` ends. */
  #position = 0;

  constructor(file: Pick<FileHandle, "read" | "close">) {
    this.#file = file;
  }

  /** How many bytes of whole records were read. */
  get offset(): number {
    return this.#position - (this.#held.length - this.#at);
  }

  /** The next record within the first `end` bytes of the file; `torn` where there is something else, `undefined` at the end. */
  async next(end: number): Promise<Buffer | "torn" | undefined> {
    for (;;) {
      const found = readRecord(this.#held, this.#at);
      if (typeof found === "object") {
        this.#at += found.length + 8;
        return found;
      }
      if (found === "torn") return found;
      if (this.#position >= end) return this.offset === end ? undefined : "torn";
      await this.#readMore(found, end);
    }
  }

  async #readMore(needed: number, end: number): Promise<void> {
    const kept = this.#held.subarray(this.#at);
    const wanted = Math.min(Math.max(needed - kept.length, chunkBytes), end - this.#position);
    const next = Buffer.allocUnsafe(kept.length + wanted);
    kept.copy(next);
    const { bytesRead } = await this.#file.read(next, kept.length, wanted, this.#position);
    // A file that is shorter than it was: what is missing is read as torn.
    if (bytesRead === 0) next.fill(0, kept.length);
    this.#held = next.subarray(0, kept.length + (bytesRead === 0 ? wanted : bytesRead));
    this.#position += bytesRead === 0 ? wanted : bytesRead;
    this.#at = 0;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
