import { createWriteStream } from "node:fs";
import { open, readdir, rename, rm, stat, utimes, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** A file that was put aside. */
export interface AsideFile {
  readonly path: string;
  /** 1 is the newest. */
  readonly number: number;
  readonly compressed: boolean;
}

/** The files that were put aside, newest first: `access.log.1`, `access.log.2.gz` and so on. */
export async function listAside(path: string, maxFiles: number): Promise<AsideFile[]> {
  const name = basename(path);
  const found: AsideFile[] = [];
  for (const file of await readdir(dirname(path))) {
    const parts = file.startsWith(name) ? /^\.([1-9]\d{0,2})(\.gz)?$/.exec(file.slice(name.length)) : null;
    const number = Number(parts?.[1]);
    if (parts === null || number >= maxFiles) continue;
    found.push({ path: join(dirname(path), file), number, compressed: parts[2] !== undefined });
  }
  return found.sort((a, b) => a.number - b.number);
}

/** Puts a file aside: each number becomes the next, and what would be beyond `maxFiles` goes. Every step is a rename. */
export async function putAside(path: string, maxFiles: number): Promise<void> {
  for (const file of (await listAside(path, maxFiles)).reverse()) {
    const to = `${path}.${file.number + 1}${file.compressed ? ".gz" : ""}`;
    if (file.number === maxFiles - 1) await rm(file.path, { force: true });
    else await rename(file.path, to);
  }
  if (maxFiles > 1) await rename(path, `${path}.1`).catch(unlessMissing);
}

/** Deletes what was last written before a time, in milliseconds since 1970. */
export async function deleteOlder(path: string, maxFiles: number, beforeMs: number): Promise<void> {
  for (const file of await listAside(path, maxFiles)) {
    const { mtimeMs } = await stat(file.path);
    if (mtimeMs < beforeMs) await rm(file.path, { force: true });
  }
}

/** Opens the oldest file that is not compressed: what it holds stays the same, whatever names are given meanwhile. */
export async function openPlain(path: string, maxFiles: number): Promise<FileHandle | undefined> {
  const oldest = (await listAside(path, maxFiles)).findLast(({ compressed }) => !compressed);
  return oldest === undefined ? undefined : open(oldest.path);
}

/**
 * Compresses a file that was put aside into another beside it, and closes it. Answers what puts the other into its place,
 * wherever that is by then. Rejects when there is no room, or `signal` is aborted: nothing is left behind then.
 */
export async function compress(
  file: FileHandle,
  path: string,
  maxFiles: number,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { ino, atime, mtime } = await file.stat({ bigint: true });
  const beside = `${path}.gz.tmp`;
  try {
    await pipeline(file.createReadStream(), createGzip(), createWriteStream(beside, { mode: 0o640 }), { signal });
    // It is as old as what it holds.
    await utimes(beside, atime, mtime);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return async () => {
    for (const now of await listAside(path, maxFiles)) {
      if (now.compressed || (await stat(now.path, { bigint: true })).ino !== ino) continue;
      await rename(beside, `${now.path}.gz`);
      await rm(now.path);
      return;
    }
    await rm(beside, { force: true });
  };
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
