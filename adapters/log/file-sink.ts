import { mkdir, open, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { compress, deleteOlder, openPlain, putAside } from "./aside-files.ts";
import type { Sink } from "./line-writer.ts";

export interface FileSinkOptions {
  /** Absolute. */
  readonly path: string;
  /** Bytes after which the file is put aside; one line that is longer has a file of its own. */
  readonly maxBytes: number;
  /** How many files there are at most, the one being written included. */
  readonly maxFiles: number;
  /** The lines of one file are of one period of so many milliseconds, counted from 1970. Left out: of any. */
  readonly rotateEveryMs?: number | undefined;
  /** Files put aside are deleted so long after they were last written. Left out: never. */
  readonly keepForMs?: number | undefined;
  /** Whether files that were put aside are compressed. */
  readonly gzip?: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of every failure of the file system. */
  readonly failed: (error: NodeJS.ErrnoException, doing: "write" | "tend") => void;
}

/** A file with those put aside. */
export interface FileSink extends Sink {
  /**
   * Does what time asks for: puts aside, deletes and compresses. To be called now and then; a call while another is at
   * work does nothing. Never rejects.
   */
  tend(): Promise<void>;
}

const newLine = 0x0a;

/**
 * A file that is put aside when it is full, or its period is over: `access.log` becomes `access.log.1`, that one `access.log.2`, and the oldest
 * goes. Each step is a rename, so no line is ever copied or lost half-way; a start goes on where the last one ended. A
 * file that was moved or removed by somebody else is opened anew.
 */
export async function createFileSink(options: FileSinkOptions): Promise<FileSink> {
  const { path, maxBytes, maxFiles, rotateEveryMs, keepForMs, gzip = false, now, failed } = options;
  let file: FileHandle | undefined;
  let size = 0;
  let inode = 0n;
  let writtenMs = 0;
  let tending: Promise<void> | undefined;
  const closing = new AbortController();

  /** What gives files names, and what writes, are done one after the other. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  }

  async function reopen(): Promise<FileHandle> {
    await closeFile();
    await mkdir(dirname(path), { recursive: true });
    const opened = await open(path, "a", 0o640);
    const stats = await opened.stat({ bigint: true });
    file = opened;
    size = Number(stats.size);
    inode = stats.ino;
    writtenMs = Number(stats.mtimeMs);
    return opened;
  }

  /** Ends a line that was torn when its process was killed, so that it does not cost the next one. */
  async function endTornLine(opened: FileHandle): Promise<void> {
    if (size === 0 || (await lastByte(path, size)) === newLine) return;
    size += (await opened.write("\n")).bytesWritten;
  }

  async function closeFile(): Promise<void> {
    const open = file;
    file = undefined;
    await open?.close();
  }

  /** The open file, unless another stands in its place. */
  async function current(): Promise<FileHandle> {
    if (file === undefined) return reopen();
    const there = await stat(path, { bigint: true }).catch(() => undefined);
    return there === undefined || there.ino !== inode ? reopen() : file;
  }

  async function rotate(): Promise<FileHandle> {
    await closeFile();
    await putAside(path, maxFiles);
    if (maxFiles === 1) await (await open(path, "w", 0o640)).close();
    return reopen();
  }

  /** Whether what is in the file is of a period that is over. */
  function isOver(): boolean {
    if (rotateEveryMs === undefined || size === 0) return false;
    return Math.floor(now() / rotateEveryMs) > Math.floor(writtenMs / rotateEveryMs);
  }

  async function compressAll(): Promise<void> {
    const { signal } = closing;
    for (;;) {
      const aside = await inTurn(() => openPlain(path, maxFiles));
      if (aside === undefined) return;
      await inTurn(await compress(aside, path, maxFiles, signal));
    }
  }

  async function doTend(): Promise<void> {
    try {
      await inTurn(async () => {
        await current();
        if (isOver()) await rotate();
        if (keepForMs !== undefined) await deleteOlder(path, maxFiles, now() - keepForMs);
      });
      if (gzip) await compressAll();
    } catch (error) {
      if (!closing.signal.aborted) failed(error as NodeJS.ErrnoException, "tend");
    }
  }

  async function write(lines: Buffer): ReturnType<Sink["write"]> {
    let written = 0;
    try {
      let target = await current();
      if (isOver()) target = await rotate();
      while (written < lines.length) {
        if (size >= maxBytes) target = await rotate();
        let end = lastWholeLine(lines, written, maxBytes - size);
        if (end === written) {
          // Not one line has room any more. In a new file it is written however long it is.
          if (size > 0) {
            target = await rotate();
            continue;
          }
          end = lines.indexOf(newLine, written) + 1 || lines.length;
        }
        const { bytesWritten } = await target.write(lines, written, end - written);
        written += bytesWritten;
        size += bytesWritten;
        writtenMs = now();
      }
      return { written };
    } catch (error) {
      failed(error as NodeJS.ErrnoException, "write");
      // Whatever it was, a fresh look at the file is the best start of the next attempt.
      await closeFile().catch(() => {});
      return { written, reason: (error as Error).message };
    }
  }

  await endTornLine(await reopen());
  return {
    write: (lines) => inTurn(() => write(lines)),
    async tend() {
      if (closing.signal.aborted) return;
      tending ??= doTend().finally(() => (tending = undefined));
      await tending;
    },
    async close() {
      closing.abort();
      await tending;
      await last;
      await file?.sync().catch(() => {});
      await closeFile();
    },
  };
}

/** The last byte of a file of this size; that of a line's end where it may not be read. */
async function lastByte(path: string, size: number): Promise<number> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
      return buffer[0]!;
    } finally {
      await file.close();
    }
  } catch {
    return newLine;
  }
}

/** Where the last line ends that begins at or after `from` and has room. `from` when none has. */
function lastWholeLine(lines: Buffer, from: number, room: number): number {
  if (lines.length - from <= room) return lines.length;
  return room <= 0 ? from : Math.max(from, lines.lastIndexOf(newLine, from + room - 1) + 1);
}
