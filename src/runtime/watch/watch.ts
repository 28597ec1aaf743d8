import type { Timers } from "../../util/timers.ts";
import { lookAt, textOf } from "./fingerprint.ts";
import type { WatchFolder } from "./folder-events.ts";
import { createFolderWatches, type FolderWatches, type Untold } from "./folder-watches.ts";
import { createLookTimes } from "./look-times.ts";

export interface WatchOptions {
  /** The files and folders to watch, asked anew each time. Those that are not there are watched for. */
  paths(): readonly string[];
  /** Called when something has changed and then stood still for one interval; while its promise is pending nothing is looked at. */
  onChange(): void | Promise<void>;
  /**
   * The fingerprint of what is known already, asked anew each time. It is to be taken before the files are read, so that
   * nothing that happens in between is missed.
   */
  known(): string;
  readonly timers: Timers;
  /** Milliseconds of a clock that is never set. */
  now(): number;
  /** How often it is looked, in milliseconds. Default 1 s; with more than 333 files, less often. */
  readonly intervalMs?: number;
  /** With more than 333 files, has the system tell of changes. Left out: they are only looked for. */
  readonly watchFolder?: WatchFolder;
  /** Told once when changes in some folder come to be only looked for, of the first such folder. */
  onUntold?(untold: Untold): void;
  /** Told what `onChange` throws. */
  onError(error: unknown): void;
}

/** How many times something may keep changing before it is told all the same. */
const maxUnsettled = 10;

/**
 * Watches files by looking at them again and again: an edit in place, an editor's rename, files that come and go, and a
 * mounted folder whose symlink is swapped (as Kubernetes does with ConfigMaps) all look the same to it, on every file
 * system. A change is told once it has stood still for one interval, so that a half-written file is not read. Where there
 * are many files, what the system tells of their folders only says when to look; what it does not tell is found all the same.
 *
 * @returns a function that ends the watching
 */
export function watchFiles(options: WatchOptions): () => void {
  const { timers, intervalMs = 1000, watchFolder } = options;
  const times = createLookTimes(intervalMs, options.now);
  /** What `onChange` was called for last: it is not called for that again, also where it did not get to know it. */
  let told: string | undefined;
  let pending: string | undefined;
  let unsettled = 0;
  let entries = 0;
  /** Whether something may have changed since the last look began. */
  let isStirred = false;
  let folders: FolderWatches | undefined;
  let untold: Untold | undefined;
  let ended = false;
  /** Ends the wait for the next look; `undefined` while there is none. */
  let cancel: (() => void) | undefined;

  const onEvent = (): void => {
    if (isStirred) return;
    isStirred = true;
    if (cancel === undefined) return;
    cancel();
    next();
  };

  const found = async (): Promise<string> => {
    const paths = options.paths();
    const seen = await (folders?.during(paths, (onFolder) => lookAt(paths, onFolder)) ?? lookAt(paths));
    entries = seen.length;
    return textOf(seen);
  };

  /** Has as many files watched as need it, from the next look on. */
  const keepFolders = (): void => {
    if (!times.areMany(entries)) {
      folders?.close();
      folders = undefined;
    } else if (folders !== undefined) {
      const before = untold;
      untold = folders.untold();
      if (untold !== undefined && before === undefined) options.onUntold?.(untold);
    } else if (watchFolder !== undefined) {
      folders = createFolderWatches({ watchFolder, onEvent });
      isStirred = true;
    }
  };

  const look = async (): Promise<void> => {
    isStirred = false;
    const seen = await found();
    if (ended) return;
    keepFolders();
    if (seen === options.known() || seen === told) {
      pending = undefined;
      unsettled = 0;
    } else if (seen !== pending && unsettled < maxUnsettled) {
      pending = seen;
      unsettled++;
      isStirred = true;
    } else {
      told = seen;
      pending = undefined;
      unsettled = 0;
      await options.onChange();
    }
  };

  const next = (): void => {
    if (ended) return;
    const isTold = folders !== undefined && untold === undefined;
    const waitMs = isStirred && times.areMany(entries) ? times.soonMs(entries) : times.restMs(entries, isTold);
    cancel = timers.after(waitMs, () => {
      cancel = undefined;
      look()
        .catch((error: unknown) => options.onError(error))
        .finally(next);
    });
  };

  next();
  return () => {
    ended = true;
    cancel?.();
    folders?.close();
  };
}
