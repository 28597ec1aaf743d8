import { write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sink } from "./line-writer.ts";

/** How often to look, before the rest is left to the queue's own retries. */
const maxPauses = 50;

/**
 * A sink on an open file descriptor. `process.stdout` would block the whole process while the reader of a pipe is slow;
 * a plain write on another thread does not. `pause` waits for a reader that is slow before looking again.
 */
export function createStreamSink(fd: number, pause: () => Promise<void> = () => sleep(20)): Sink {
  return {
    async write(lines) {
      let written = 0;
      for (let pauses = 0; written < lines.length;) {
        try {
          written += await writeSome(fd, lines, written);
          pauses = 0;
        } catch (error) {
          // A pipe that somebody set to non-blocking says so when it is full.
          if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || pauses++ >= maxPauses) {
            return { written, reason: (error as Error).message };
          }
          await pause();
        }
      }
      return { written };
    },
    async close() {},
  };
}

function writeSome(fd: number, bytes: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, from, bytes.length - from, null, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}
