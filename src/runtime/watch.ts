import { stat, type BigIntStats } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Timers } from "../util/timers.ts";

export interface WatchOptions {
  /** The files and folders to watch, asked anew each time. Those that are not there are watched for. */
  paths(): readonly string[];
  /** Called when something has changed and then stood still for one interval; while its promise is pending nothing is looked at. */
  onChange(): void | Promise<void>;
  /**
   * The {@link fingerprint} of what is known already, asked anew each time. It is to be taken before the files are read,
   * so that nothing that happens in between is missed.
   */
  known(): string;
  readonly timers: Timers;
  /** How often it is looked, in milliseconds. Default 1 s; with more than 333 files, less often. */
  readonly intervalMs?: number;
  /** Told what `onChange` throws. */
  onError(error: unknown): void;
}

/** How many times something may keep changing before it is told all the same. */
const maxUnsettled = 10;

/** How deep folders are followed, and how many entries are looked at in all. */
const maxDepth = 16;
const maxEntries = 100_000;

/** At least so long it is waited for each file: however many there are, looking takes less than a hundredth of a core. */
const msAFile = 3;

/** How many entries are looked at together: one by one, each would wake the process by itself. */
const entriesAtOnce = 64;

/**
 * Watches files by looking at them again and again: an edit in place, an editor's rename, files that come and go, and a
 * mounted folder whose symlink is swapped (as Kubernetes does with ConfigMaps) all look the same to it, on every file
 * system. A change is told once it has stood still for one interval, so that a half-written file is not read.
 *
 * @returns a function that ends the watching
 */
export function watchFiles(options: WatchOptions): () => void {
  const { timers, intervalMs = 1000 } = options;
  /** What `onChange` was called for last: it is not called for that again, also where it did not get to know it. */
  let told: string | undefined;
  let pending: string | undefined;
  let unsettled = 0;
  let waitMs = intervalMs;
  let ended = false;
  let cancel: (() => void) | undefined;

  const look = async (): Promise<void> => {
    const seen = await fingerprint(options.paths());
    if (ended) return;
    waitMs = Math.max(intervalMs, seen.split("\n").length * msAFile);
    if (seen === options.known() || seen === told) {
      pending = undefined;
      unsettled = 0;
    } else if (seen !== pending && unsettled < maxUnsettled) {
      pending = seen;
      unsettled++;
    } else {
      told = seen;
      pending = undefined;
      unsettled = 0;
      await options.onChange();
    }
  };
  const next = (): void => {
    if (ended) return;
    cancel = timers.after(waitMs, () => {
      look()
        .catch((error: unknown) => options.onError(error))
        .finally(next);
    });
  };

  next();
  return () => {
    ended = true;
    cancel?.();
  };
}

/**
 * A text that changes when a file, or anything in a folder, does: by content, size, time, identity, or by being there.
 * Names in a folder that begin with a dot do not count: editors keep their own there.
 */
export async function fingerprint(paths: readonly string[]): Promise<string> {
  const lines: string[] = [];
  await describe(paths, 0, lines);
  return lines.join("\n");
}

async function describe(paths: readonly string[], depth: number, lines: string[]): Promise<void> {
  for (let i = 0; i < paths.length && lines.length < maxEntries; i += entriesAtOnce) {
    const some = paths.slice(i, i + entriesAtOnce);
    const found = await lookAt(some);
    for (const [k, each] of found.entries()) {
      const path = some[k]!;
      if (typeof each === "string") lines.push(`${path} ${each}`);
      else if (each.isDirectory()) {
        lines.push(`${path} ${each.dev} ${each.ino}`);
        if (depth < maxDepth) await describeFolder(path, depth, lines);
      } else lines.push(`${path} ${each.dev} ${each.ino} ${each.size} ${each.mtimeNs} ${each.ctimeNs}`);
    }
  }
}

async function describeFolder(path: string, depth: number, lines: string[]): Promise<void> {
  const names = await readdir(path).catch(codeOf);
  if (typeof names === "string") lines.push(`${path} ${names}`);
  else {
    const seen = names.filter((name) => !name.startsWith(".")).sort();
    const paths = seen.map((name) => join(path, name));
    await describe(paths, depth + 1, lines);
  }
}

/** What there is at each path, or why that cannot be said. By callbacks, which take half the CPU of as many promises. */
function lookAt(paths: readonly string[]): Promise<readonly (BigIntStats | string)[]> {
  return new Promise((resolve) => {
    const found = new Array<BigIntStats | string>(paths.length);
    let left = paths.length;
    for (const [i, path] of paths.entries()) {
      stat(path, { bigint: true }, (error, stats) => {
        found[i] = error === null ? stats : codeOf(error);
        if (--left === 0) resolve(found);
      });
    }
  });
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? "unreadable";
}
