import { mkdir, open, rename, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { Sink } from "./line-writer.ts";

export interface FileSinkOptions {
  /** Absolute. */
  readonly path: string;
  /** Bytes after which the file is put aside; one line that is longer has a file of its own. */
  readonly maxBytes: number;
  /** How many files there are at most, the one being written included. */
  readonly maxFiles: number;
}

const newLine = 0x0a;

/**
 * A file that is put aside when it is full: `access.log` becomes `access.log.1`, that one `access.log.2`, and the oldest
 * goes. Each step is a rename, so no line is ever copied or lost half-way; a start goes on where the last one ended. A
 * file that was moved or removed by somebody else is opened anew.
 */
export async function createFileSink({ path, maxBytes, maxFiles }: FileSinkOptions): Promise<Sink> {
  let file: FileHandle | undefined;
  let size = 0;
  let inode = 0n;

  async function reopen(): Promise<FileHandle> {
    await closeFile();
    await mkdir(dirname(path), { recursive: true });
    const opened = await open(path, "a", 0o640);
    const stats = await opened.stat({ bigint: true });
    file = opened;
    size = Number(stats.size);
    inode = stats.ino;
    return opened;
  }

  async function closeFile(): Promise<void> {
    const closing = file;
    file = undefined;
    await closing?.close();
  }

  /** The open file, unless another stands in its place. */
  async function current(): Promise<FileHandle> {
    if (file === undefined) return reopen();
    const there = await stat(path, { bigint: true }).catch(() => undefined);
    return there === undefined || there.ino !== inode ? reopen() : file;
  }

  async function rotate(): Promise<FileHandle> {
    await closeFile();
    for (let n = maxFiles - 1; n > 0; n--) {
      await rename(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    }
    if (maxFiles === 1) await (await open(path, "w", 0o640)).close();
    return reopen();
  }

  await reopen();
  return {
    async write(lines) {
      let written = 0;
      try {
        let target = await current();
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
        }
        return { written };
      } catch (error) {
        // Whatever it was, a fresh look at the file is the best start of the next attempt.
        await closeFile().catch(() => {});
        return { written, reason: (error as Error).message };
      }
    },
    async close() {
      await file?.sync().catch(() => {});
      await closeFile();
    },
  };
}

/** Where the last line ends that begins at or after `from` and has room. `from` when none has. */
function lastWholeLine(lines: Buffer, from: number, room: number): number {
  if (lines.length - from <= room) return lines.length;
  return room <= 0 ? from : Math.max(from, lines.lastIndexOf(newLine, from + room - 1) + 1);
}
