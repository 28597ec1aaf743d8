import { mkdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Journal, JournalRefusal, JournalState, Log, StoredBatch } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import { whyUnusable } from "../../util/text-file.ts";
import { WeirError } from "../../util/weir-error.ts";
import { DiskWriter } from "./disk-writer.ts";
import { lock } from "./lock-file.ts";
import { Places } from "./places.ts";
import { SegmentReader } from "./segment-reader.ts";
import { recordHeadBytes } from "./segment.ts";
import { findSegments, openFile, type OpenFile, type Segment } from "./segments.ts";

export interface DiskJournalOptions {
  /** Made where it is missing; no two processes may use one. */
  readonly folder: string;
  /** The most bytes of all segments. */
  readonly maxBytes: number;
  /** How long a record waits for a reader that is away. */
  readonly maxAgeMs: number;
  /** Whether a record is stored only when the disk has it: `false` outlives the process, but not the machine. */
  readonly sync: boolean;
  readonly observer: Pick<Observer, "dropped">;
  readonly log: Log;
  readonly now: () => number;
  readonly timers: Timers;
  readonly open?: OpenFile;
}

/** A journal in files of this machine. */
export interface DiskJournal extends Journal {
  state(): JournalState;
  forget(except: readonly string[]): void;
  /** Stores what waits, notes how far readers have come and lets go of the folder. */
  close(): Promise<void>;
}

/** Batches of records that a message may hold are far smaller; a longer one is split. */
const maxBatchBytes = 4 * 1024 * 1024;
/** The most bytes that wait to be written. */
const maxWaitingBytes = 64 * 1024 * 1024;
const maxSegmentBytes = 16 * 1024 * 1024;
/** How long the place of a reader is not written down, and how often the age of segments is looked at. */
const saveMs = 25;
const ageMs = 10_000;

/**
 * Opens the journal in a folder, with what is in it. Records are written in segments; one that every reader has done
 * with is deleted. Throws WEIR_BUFFER_IN_USE, and WEIR_BUFFER_FOLDER for what the file system says.
 */
export async function openDiskJournal(options: DiskJournalOptions): Promise<DiskJournal> {
  const { folder, maxBytes, maxAgeMs, sync, observer, log, now, timers, open = openFile } = options;
  const { held, segments, torn, places, problem } = await openFolder(folder, timers);
  if (torn > 0) log.info({ folder, bytes: torn }, "the last record of the buffer was not whole, and is left out");
  if (problem !== undefined)
    log.warn({ folder, err: problem }, "how far readers of the buffer had come cannot be read: they begin anew");

  const last = segments.at(-1);
  // What readers have come past is not written anew: they would pass over it.
  const start = Math.max(last === undefined ? 1 : last.first + last.records, places.most ?? 1);
  let settledBytes = 0;
  const countSettled = (): void => {
    settledBytes = segments.reduce((sum, segment) => (segment === writer.current ? sum : sum + segment.bytes), 0);
  };
  const grown = new Bell();
  const writer = new DiskWriter(
    {
      ...{ folder, sync, log, now, open },
      segmentBytes: Math.min(maxSegmentBytes, Math.floor(maxBytes / 8)),
      began(segment) {
        segments.push(segment);
        countSettled();
      },
      ended() {
        countSettled();
        clear();
      },
      grew: () => grown.ring(),
    },
    start,
  );
  countSettled();
  const size = (): number => settledBytes + (writer.current?.bytes ?? 0);
  const oldest = (): number => segments[0]?.first ?? start;

  let closed = false;
  let saving: Promise<void> | undefined;
  let cancelSave: (() => void) | undefined;
  const save = (): Promise<void> =>
    (saving = (saving ?? Promise.resolve())
      .then(() => places.save())
      .catch((error: unknown) => log.warn({ err: error }, "how far readers of the buffer have come was not written")));
  const saveSoon = (): void => {
    if (closed) return;
    cancelSave ??= timers.after(saveMs, () => {
      cancelSave = undefined;
      void save();
    });
  };

  const remove = (segment: Segment): void => {
    segments.splice(segments.indexOf(segment), 1);
    countSettled();
    unlink(segment.path).catch((error: unknown) => log.warn({ err: error }, "a segment could not be deleted"));
    // A reader that waits for more of it holds the file open, and with it the room that it takes.
    grown.ring();
  };
  /** Deletes the segments that no reader waits for. */
  const clear = (): void => {
    const { least } = places;
    if (least === undefined) return;
    for (const segment of [...segments])
      if (segment !== writer.current && segment.first + segment.records <= least) remove(segment);
  };
  const expire = (): void => {
    for (const segment of [...segments]) {
      if (segment === writer.current || now() - segment.writtenMs <= maxAgeMs) continue;
      const lost = segment.first + segment.records - Math.max(segment.first, places.least ?? segment.first);
      observer.dropped("batch", "expired", lost);
      log.warn({ batches: lost }, "batches of the buffer are older than telemetry.maxAge, and are dropped");
      remove(segment);
    }
    places.skipTo(oldest());
  };
  let cancelAge: (() => void) | undefined;
  const watchAge = (): void => {
    cancelAge = timers.after(ageMs, () => {
      expire();
      watchAge();
    });
  };
  watchAge();

  const refusal = (): JournalRefusal | undefined => {
    if (closed) return "away";
    const waiting = writer.waitingBytes;
    if (waiting > maxWaitingBytes || size() + waiting >= maxBytes) return "full";
    return writer.refusal();
  };

  async function* read(reader: string, signal: AbortSignal): AsyncGenerator<StoredBatch> {
    let next = places.begin(reader, oldest());
    while (!signal.aborted) {
      const segment = segments.find(({ first, records }) => next < first + records);
      if (segment === undefined) {
        await grown.heard(signal);
        continue;
      }
      const handle = await open(segment.path, "r").catch((error: unknown) => {
        log.error({ err: error }, "a segment of the buffer cannot be read, and is left out");
      });
      const file = handle === undefined ? undefined : new SegmentReader(handle);
      try {
        let at = segment.first;
        next = Math.max(next, segment.first);
        while (!signal.aborted && segments.includes(segment)) {
          if (at === segment.first + segment.records) {
            if (segment !== segments.at(-1)) break;
            await grown.heard(signal);
            continue;
          }
          const bytes = file === undefined ? "torn" : await file.next(segment.bytes);
          if (bytes === undefined || bytes === "torn") {
            const end = segment.first + segment.records;
            observer.dropped("batch", "unreadable", end - at);
            log.error({ path: segment.path, batches: end - at }, "records of the buffer are broken, and are left out");
            for (; at < end; at++) places.done(reader, at);
            break;
          }
          const record = at++;
          if (record < next) continue;
          yield {
            bytes,
            done() {
              if (!places.done(reader, record)) return;
              clear();
              saveSoon();
            },
          };
        }
        next = at;
      } finally {
        await file?.close();
      }
    }
  }

  return {
    maxBatchBytes,
    refusal,
    async append(batch) {
      const refused = refusal();
      if (refused !== undefined) return refused;
      if (size() + writer.waitingBytes + recordHeadBytes + batch.length > maxBytes) return "full";
      return writer.append(batch);
    },
    read,
    forget(except) {
      const gone = places.keep(except);
      if (gone.length > 0) log.info({ readers: gone }, "the buffer keeps nothing for adapters that are gone");
      clear();
      saveSoon();
    },
    state: () => ({ bytes: size(), capacity: maxBytes }),
    async close() {
      closed = true;
      cancelAge?.();
      cancelSave?.();
      await writer.close();
      clear();
      await save();
      await held.release();
    },
  };
}

async function openFolder(folder: string, timers: Timers) {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const held = await lock(join(folder, "lock"), `the folder ${folder}`, timers);
    try {
      return { held, ...(await findSegments(folder)), ...(await Places.read(folder)) };
    } catch (error) {
      await held.release();
      throw error;
    }
  } catch (error) {
    if (error instanceof WeirError) throw error;
    const message = `the folder ${folder} of the buffer cannot be used: ${whyUnusable(error)}`;
    throw new WeirError("WEIR_BUFFER_FOLDER", message, { cause: error });
  }
}

/** Wakes those who wait for more. */
class Bell {
  readonly #waiting = new Set<() => void>();

  ring(): void {
    for (const wake of this.#waiting) wake();
  }

  heard(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
