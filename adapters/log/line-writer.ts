import type { Exported, LogEntry } from "weir/sdk";

/** Where lines go. */
export interface Sink {
  /**
   * Writes whole lines and answers how many bytes were written; fewer than given means that writing failed, with the
   * reason. Never rejects. Not called again before it has answered.
   */
  write(lines: Buffer): Promise<{ readonly written: number; readonly reason?: string }>;
  close(): Promise<void>;
}

/**
 * Writes entries to a sink, one JSON line each, so that no line is torn and none is written twice:
 *
 * - When writing fails in the middle of a line, the line counts as delivered, and its end is written first the next time.
 * - A batch that is offered again while its first writing goes on (the hub waits only so long) gets that one's answer.
 */
export class LineWriter {
  readonly #sink: Sink;
  #rest: Buffer = Buffer.alloc(0);
  #underway: { readonly first: LogEntry | undefined; readonly delivered: Promise<Delivered> } | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  async logs(entries: readonly LogEntry[]): Promise<Exported> {
    if (this.#underway !== undefined && this.#underway.first !== entries[0]) {
      return { delivered: 0, retry: true, reason: "an earlier batch is still being written" };
    }
    this.#underway ??= { first: entries[0], delivered: this.#write(entries) };
    const { count, reason } = await this.#underway.delivered;
    return count === entries.length ? undefined : { delivered: count, retry: true, reason: reason ?? "more has come" };
  }

  async close(): Promise<void> {
    await this.#underway?.delivered;
    await this.#writeRest();
    await this.#sink.close();
  }

  async #write(entries: readonly LogEntry[]): Promise<Delivered> {
    try {
      const torn = await this.#writeRest();
      if (torn !== undefined) return { count: 0, reason: torn };
      const lines = entries.map((entry) => Buffer.from(formatLine(entry)));
      const { written, reason } = await this.#sink.write(Buffer.concat(lines));
      let count = 0;
      let end = 0;
      while (count < lines.length && end < written) end += lines[count++]!.length;
      if (end > written) this.#rest = lines[count - 1]!.subarray(-(end - written));
      return { count, reason };
    } finally {
      this.#underway = undefined;
    }
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

/** `{"time", "severity", "log"}`, the `id` of an entry that has one, and the fields, on one line. A field of one of these names stands in place of it. */
export function formatLine({ name, timeMs, severity, fields, id }: LogEntry): string {
  return `${JSON.stringify({ time: new Date(timeMs).toISOString(), severity, log: name, ...(id === undefined ? {} : { id }), ...fields })}\n`;
}
