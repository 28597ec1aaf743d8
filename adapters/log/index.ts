import { resolve } from "node:path";
import { defineAdapter, parseSize } from "weir/sdk";
import { z } from "zod";
import { createFileSink } from "./file-sink.ts";
import { LineWriter } from "./line-writer.ts";
import { createStreamSink } from "./stream-sink.ts";

const size = z.string().transform((text, context) => {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= 1024) return bytes;
  context.addIssue({ code: "custom", message: "expected a size of 1KiB or more, such as 64KiB, 100MiB or 1GiB" });
  return z.NEVER;
});

/** Writes log entries as JSON lines, to standard output, standard error or a file that is rotated by size. */
export default defineAdapter({
  name: "log",
  description: "JSON lines to standard output, standard error or a file",
  provides: ["logs"],
  config: z.strictObject({
    /** `stdout`, `stderr`, or a file's path; a relative one is meant from the folder of `weir.yaml`. */
    to: z.string().min(1).default("stdout"),
    /** A file is put aside when it has this size. */
    maxSize: size.prefault("100MiB"),
    /** How many files are kept, the one being written included. */
    maxFiles: z.int().min(1).max(1000).default(5),
  }),
  async create({ to, maxSize, maxFiles }, host) {
    if (to === "stdout") return new LineWriter(createStreamSink(process.stdout));
    if (to === "stderr") return new LineWriter(createStreamSink(process.stderr));
    const path = resolve(host.folder, to);
    return new LineWriter(await createFileSink({ path, maxBytes: maxSize, maxFiles }));
  },
});
