import type { Exported, LogEntry } from "weir/sdk";

/** Where lines go. */
export interface Sink {
  /**
   * Writes whole lines and answers how many bytes were written; fewer than given means that writing failed, with the
   * reason. Never throws.
   */
  write(lines: Buffer): Promise<{ readonly written: number; readonly reason?: string }>;
  close(): Promise<void>;
}

/**
 * Writes entries to a sink, one JSON line each. When writing fails in the middle of a line, the line counts as
 * delivered and its end is written first the next time, so that no line is torn or written twice.
 */
export function createLineWriter(sink: Sink): {
  logs(entries: readonly LogEntry[]): Promise<Exported>;
  close(): Promise<void>;
} {
  let rest: Buffer = Buffer.alloc(0);

  async function writeRest(): Promise<string | undefined> {
    if (rest.length === 0) return undefined;
    const { written, reason } = await sink.write(rest);
    rest = rest.subarray(written);
    return rest.length === 0 ? undefined : (reason ?? "writing stopped");
  }

  return {
    async logs(entries) {
      const torn = await writeRest();
      if (torn !== undefined) return { delivered: 0, retry: true, reason: torn };
      const lines = entries.map((entry) => Buffer.from(formatLine(entry)));
      const { written, reason } = await sink.write(Buffer.concat(lines));
      let delivered = 0;
      let end = 0;
      while (delivered < lines.length && end < written) end += lines[delivered++]!.length;
      if (end > written) rest = lines[delivered - 1]!.subarray(lines[delivered - 1]!.length - (end - written));
      if (delivered === entries.length) return undefined;
      return { delivered, retry: true, reason: reason ?? "writing stopped" };
    },
    async close() {
      await writeRest();
      await sink.close();
    },
  };
}

/** `{"time", "severity", "log"}` and the fields, on one line. A field of one of these names stands in place of it. */
export function formatLine({ name, timeMs, severity, fields }: LogEntry): string {
  return `${JSON.stringify({ time: new Date(timeMs).toISOString(), severity, log: name, ...fields })}\n`;
}
