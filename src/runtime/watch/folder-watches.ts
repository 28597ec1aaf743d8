import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { BigIntStats } from "node:fs";
import type { OnFolder } from "./fingerprint.ts";
import type { WatchFolder } from "./folder-events.ts";
import { turnsOf } from "./path-turns.ts";

/** A folder whose changes are not told. */
export interface Untold {
  readonly folder: string;
  readonly reason: string;
}

/**
 * Watches on the folders of what is looked at. A watch tells once and is gone: the look that follows makes it anew before it
 * reads, so that nothing is missed in between, and however often something changes it is told once a look. The same look makes
 * those anew whose path has come to be another folder, by device and inode, and ends those of folders that are not looked at
 * any more.
 */
export interface FolderWatches {
  /** Looks by way of `job`, which is to name each folder before it is read. */
  during<T>(paths: readonly string[], job: (onFolder: OnFolder) => Promise<T>): Promise<T>;
  /** The first folder of the last look whose changes are not told; `undefined` when all are. */
  untold(): Untold | undefined;
  close(): void;
}

export interface FolderWatchesOptions {
  readonly watchFolder: WatchFolder;
  /** Called when something has changed that may matter. */
  onEvent(): void;
}

/** How many folders are watched: the system has so many watches for all processes of a user. */
const maxFolders = 4096;

/** How often a watch may tell of names that do not matter: each wakes the process. Then it is as if one did. */
const maxIgnored = 1000;

interface Held {
  readonly identity: string;
  look: number;
  end(): void;
}

export function createFolderWatches({ watchFolder, onEvent }: FolderWatchesOptions): FolderWatches {
  const watches = new Map<string, Held>();
  let look = 0;
  let isClosed = false;
  let untold: Untold | undefined;

  const drop = (key: string, held: Held): void => {
    if (watches.get(key) !== held) return;
    watches.delete(key);
    held.end();
  };

  /** Has a watch on the folder that is at the path now, for names that matter. */
  const keep = async (
    key: string,
    folder: string,
    identity: string,
    matters: (name: string) => boolean,
  ): Promise<void> => {
    if (isClosed) return;
    const before = watches.get(key);
    if (before?.identity === identity) {
      before.look = look;
      return;
    }
    if (before !== undefined) drop(key, before);
    if (watches.size >= maxFolders) throw new Error(`more than ${maxFolders} folders`);
    const held: Held = { identity, look, end: () => undefined };
    // It has its place before it is there: what it tells at once must find it.
    watches.set(key, held);
    let ignored = 0;
    try {
      const end = await watchFolder(folder, (name) => {
        if (watches.get(key) !== held) return;
        if (name !== null && !matters(name) && ++ignored < maxIgnored) return;
        drop(key, held);
        onEvent();
      });
      if (watches.get(key) === held) held.end = end;
      else end();
    } catch (error) {
      drop(key, held);
      throw error;
    }
  };

  const tried = async (folder: string, keeping: Promise<void>): Promise<void> => {
    try {
      await keeping;
    } catch (error) {
      untold ??= { folder, reason: error instanceof Error ? error.message : String(error) };
    }
  };

  /** A folder in which one of the paths can be turned elsewhere: its other names may be anybody's. */
  const keepTurn = async (folder: string, names: ReadonlySet<string>): Promise<void> => {
    const { dev, ino } = await stat(folder, { bigint: true });
    const own = basename(folder);
    const identity = [dev, ino, ...[...names].sort()].join("/");
    await keep(`turn ${folder}`, folder, identity, (name) => names.has(name) || name === own);
  };

  const onFolder = (folder: string, { dev, ino }: BigIntStats): Promise<void> => {
    const own = basename(folder);
    // Kubernetes swaps `..data`, which the names in the folder are symlinks into.
    const matters = (name: string): boolean => !name.startsWith(".") || name.startsWith("..") || name === own;
    return tried(folder, keep(`all ${folder}`, folder, `${dev}/${ino}`, matters));
  };

  return {
    async during(paths, job) {
      look++;
      untold = undefined;
      for (const [folder, names] of await turnsOf(paths)) {
        await tried(folder, keepTurn(folder, names));
      }
      const done = await job(onFolder);
      for (const [key, held] of watches) if (held.look !== look) drop(key, held);
      return done;
    },
    untold: () => untold,
    close() {
      isClosed = true;
      for (const [key, held] of watches) drop(key, held);
    },
  };
}
