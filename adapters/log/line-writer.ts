import type { Exported, LogEntry, Span } from "weir/sdk";
import { formatEntry, formatSpan } from "./format-line.ts";

/** Where lines go. */
export interface Sink {
  /**
   * Writes whole lines and answers how many bytes were written; fewer than given means that writing failed, with the
   * reason. Never rejects. Not called again before it has answered.
   */
  write(lines: Buffer): Promise<{ readonly written: number; readonly reason?: string }>;
  close(): Promise<void>;
}

/** Takes batches of one kind, one at a time. */
type Batches<T> = (batch: readonly T[]) => Promise<Exported>;

/**
 * Writes entries and spans to a sink, one JSON line each, so that no line is torn and none is written twice:
 *
 * - When writing fails in the middle of a line, the line counts as delivered, and its end is written first the next time.
 * - A batch that is offered again while its first writing goes on (the hub waits only so long) gets that one's answer.
 * - Entries and spans, which come by themselves, wait for each other.
 */
export class LineWriter {
  readonly #sink: Sink;
  #rest: Buffer = Buffer.alloc(0);
  /** Ends with the last write that was asked for. It never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly logs: Batches<LogEntry> = this.#batches(formatEntry);
  readonly spans: Batches<Span> = this.#batches(formatSpan);

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#writeRest();
    await this.#sink.close();
  }

  #batches<T>(format: (entry: T) => string): Batches<T> {
    let underway: { readonly first: T | undefined; readonly delivered: Promise<Delivered> } | undefined;
    return async (batch) => {
      if (underway !== undefined && underway.first !== batch[0])
        return { delivered: 0, retry: true, reason: "an earlier batch is still being written" };
      if (underway === undefined) {
        const delivered = this.#turn.then(() => this.#write(batch, format));
        underway = { first: batch[0], delivered };
        const ended = (): void => void (underway = undefined);
        this.#turn = delivered.then(ended, ended);
      }
      const { count, reason } = await underway.delivered;
      return count === batch.length ? undefined : { delivered: count, retry: true, reason: reason ?? "more has come" };
    };
  }

  async #write<T>(batch: readonly T[], format: (entry: T) => string): Promise<Delivered> {
    const torn = await this.#writeRest();
    if (torn !== undefined) return { count: 0, reason: torn };
    const lines = batch.map((entry) => Buffer.from(format(entry)));
    const { written, reason } = await this.#sink.write(Buffer.concat(lines));
    let count = 0;
    let end = 0;
    while (count < lines.length && end < written) end += lines[count++]!.length;
    if (end > written) this.#rest = lines[count - 1]!.subarray(-(end - written));
    return { count, reason };
  }

  async #writeRest(): Promise<string | undefined> {
    if (this.#rest.length === 0) return undefined;
    const { written, reason } = await this.#sink.write(this.#rest);
    this.#rest = this.#rest.subarray(written);
    return this.#rest.length === 0 ? undefined : (reason ?? "writing stopped");
  }
}

interface Delivered {
  readonly count: number;
  readonly reason?: string | undefined;
}
