import type { Writable } from "node:stream";
import type { Sink } from "./line-writer.ts";

/**
 * A sink on a stream that is not ours to end, such as `process.stdout`. A batch counts as written when the stream has
 * passed it on; while its reader is slow, that batch waits in the stream and the others where they are.
 */
export function createStreamSink(stream: Writable): Sink {
  // What went wrong is told to the write's callback; without a listener it would end the process.
  const ignore = (): void => {};
  stream.on("error", ignore);
  return {
    write: (lines) =>
      new Promise((resolve) => {
        stream.write(lines, (error) => {
          resolve(error ? { written: 0, reason: error.message } : { written: lines.length });
        });
      }),
    async close() {
      stream.off("error", ignore);
    },
  };
}
