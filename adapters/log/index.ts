import { resolve } from "node:path";
import { defineAdapter, type Host } from "weir/sdk";
import { duration, size } from "weir/sdk/zod";
import { z } from "zod";
import { createFileSink, type FileSinkOptions } from "./file-sink.ts";
import { LineWriter } from "./line-writer.ts";
import { createStreamSink } from "./stream-sink.ts";

const minuteMs = 60_000;

const age = duration(minuteMs, 3650 * 86_400_000);

/** Writes log entries and spans as JSON lines, to standard output, standard error or a file that is rotated by size and age. */
export default defineAdapter({
  name: "log",
  description: "log entries and spans as JSON lines to standard output, standard error or a file",
  provides: ["logs", "spans"],
  config: z.strictObject({
    /** `stdout`, `stderr`, or a file's path; a relative one is meant from the folder of `weir.yaml`. */
    to: z.string().min(1).default("stdout"),
    /** A file is put aside when it has this size. */
    maxSize: size(1024).prefault("100MiB"),
    /** How many files are kept, the one being written included. */
    maxFiles: z.int().min(1).max(1000).default(5),
    /** A file holds the lines of one period of this length, counted from 1970 in UTC: with `1d`, from midnight to midnight. */
    rotateEvery: age.optional(),
    /** Files put aside are deleted when nothing was written to them for so long. */
    keepFor: age.optional(),
    /** How files are kept that were put aside. */
    compression: z.enum(["gzip", "none"]).default("none"),
  }),
  async create({ to, maxSize, maxFiles, rotateEvery, keepFor, compression }, host) {
    if (to === "stdout") return new LineWriter(createStreamSink(process.stdout));
    if (to === "stderr") return new LineWriter(createStreamSink(process.stderr));
    const sink = await createFileSink({
      path: resolve(host.folder, to),
      maxBytes: maxSize,
      maxFiles,
      rotateEveryMs: rotateEvery,
      keepForMs: keepFor,
      gzip: compression === "gzip",
      now: () => host.now(),
      failed: countFailures(host),
    });
    // The job does not wait for its work: closing does, and ends it.
    if (rotateEvery !== undefined || keepFor !== undefined || compression === "gzip")
      host.every(minuteMs, () => void sink.tend());
    return new LineWriter(sink);
  },
});

/** Counts what fails. The hub tells of lines that are not written; of files that are not kept as they should be, this does. */
function countFailures(host: Host): FileSinkOptions["failed"] {
  let told = false;
  return (error, doing) => {
    const full = error.code === "ENOSPC" || error.code === "EDQUOT";
    host.count(full ? "disk_full" : doing === "write" ? "write_failed" : "rotation_failed");
    if (doing === "write" || told) return;
    told = true;
    host.log.warn({ err: error }, "files that were put aside cannot be deleted or compressed");
  };
}
