import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import { late, within } from "../../util/within.ts";
import { lock, type Lock } from "../buffer/lock-file.ts";
import { LedgerFile, maxContentBytes } from "./ledger-file.ts";
import {
  decodeState,
  encodeState,
  isRepeated,
  lostUpTo,
  sums,
  type Amount,
  type End,
  type LedgerState,
  type LostAmount,
} from "./ledger-state.ts";
import type { Risk } from "./risk.ts";

/** How often the ledger is written while what it says changes: so old its figures are at most, and a turn of the process more. */
export const ledgerMs = 50;
/** How long nothing is tried after a failure. */
const restMs = 1000;
/** How long the last word may take when the hub stops. */
const closeMs = 1000;

export interface LedgerOptions {
  /** Path of the file, absolute. It is made where it is missing; no two processes may use one. */
  readonly path: string;
  /** What the process would take with it now. Called 20 times a second. */
  readonly risks: () => readonly Risk[];
  readonly observer: Pick<Observer, "dropped">;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
}

/** How the process before this one ended. */
export interface PastProcess {
  readonly end: End;
  readonly startedMs: number;
  /** When it last wrote what it had at risk, milliseconds since 1970. */
  readonly writtenMs: number;
  /** What it had then: what it lost of that, at most. */
  readonly lost: readonly Amount[];
}

/** What is known of the ledger, for metrics and whoever asks. */
export interface LedgerView {
  readonly path: string;
  /** Why it is not written; `undefined` while it is. */
  readonly problem: string | undefined;
  /** Left out where the file told of no process. */
  readonly before?: PastProcess | undefined;
  /** What is known of all processes before this one. Left out while the file could not be read: nothing is known, which is not 0. */
  readonly past?: PastProcesses | undefined;
}

export interface PastProcesses {
  /** How many have ended, by how. */
  readonly ends: Readonly<Record<End, number>>;
  /** What they have lost together. Of what is at risk now and was never lost, there is nothing. */
  readonly lost: readonly LostAmount[];
}

/**
 * A file that says what the process would take with it if it ended now, for the one after it to count. What is written
 * outlives the process, and the machine once the system has brought it to the disk. Whatever is wrong with the file, the hub
 * goes on without: it is told, and tried again.
 */
export interface Ledger {
  view(): LedgerView;
  /** Writes the last word: the process ends in order, with what is left in these places. Never rejects. */
  close(risks: readonly Risk[]): Promise<void>;
}

/** Opens the ledger and takes over what the process before has left there. Never rejects. */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { path, risks, observer, log, now, timers } = options;
  const startedMs = now();
  let held: { readonly file: LedgerFile; readonly lock: Lock } | undefined;
  let before: PastProcess | undefined;
  let past: Pick<LedgerState, "lost" | "ends"> = { lost: [], ends: { killed: 0, stopped: 0 } };
  let isRead = false;
  let problem: string | undefined;
  /** What was written last, place by place. */
  let written: readonly Amount[] = [];
  let working: Promise<void> = Promise.resolve();
  let cancel: (() => void) | undefined;
  let closed = false;

  const fail = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    if (problem === undefined)
      log.warn({ path, err: error }, "the ledger cannot be written: what a kill loses is not counted");
    problem = reason;
  };

  const write = async (file: LedgerFile, places: readonly Risk[], hasStopped: boolean): Promise<void> => {
    const amounts = places.map(({ what, adapter, unsafe }) => ({ what, adapter, count: unsafe }));
    const atRisk = sums(amounts.filter(({ count }) => count > 0));
    const state: LedgerState = { startedMs, writtenMs: now(), hasStopped, atRisk, ...past };
    await file.write(encodeState(state, maxContentBytes));
    written = amounts;
  };

  /** Takes the file, and notes in it at once what the process before has lost: that is counted once. */
  const open = async (): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const taken = await lock(`${path}.lock`, `the ledger ${path}`);
    let file: LedgerFile | undefined;
    try {
      const opened = await LedgerFile.open(path);
      const { content, isBroken } = opened;
      ({ file } = opened);
      const state = content && decodeState(content);
      if (isBroken || (content !== undefined && state === undefined)) {
        observer.dropped("ledger", "unreadable", 1);
        log.warn({ path }, "the ledger cannot be read: what was lost before is not known");
      }
      if (state !== undefined) {
        past = lostUpTo(state);
        before = pastOf(state);
        tell(before);
      }
      await write(file, [], false);
      // Without it the machine may forget that, not the process.
      await file.sync().catch((error: unknown) => log.warn({ path, err: error }, "the ledger was not synced"));
      isRead = true;
      held = { file, lock: taken };
    } catch (error) {
      await file?.close();
      await taken.release();
      throw error;
    }
  };

  const tell = ({ end, startedMs: started, writtenMs, lost }: PastProcess): void => {
    const times = { started: new Date(started).toISOString(), written: new Date(writtenMs).toISOString() };
    const fields = { ...times, lost };
    if (end === "killed")
      log.warn(
        fields,
        "the process before this one was killed or crashed; what was lost with it is in the field lost, at most",
      );
    else if (lost.length > 0)
      log.info(fields, "the process before this one stopped; what nobody had taken is in the field lost");
  };

  const work = async (): Promise<void> => {
    try {
      if (held === undefined) await open();
      else await write(held.file, risks(), false);
      if (problem !== undefined) log.info({ path }, "the ledger is written again");
      problem = undefined;
    } catch (error) {
      fail(error);
    }
  };
  const workSoon = (): void => {
    cancel = timers.after(problem === undefined ? ledgerMs : restMs, () => {
      if (problem === undefined && isSame(risks(), written)) return workSoon();
      working = work().then(() => {
        if (!closed) workSoon();
      });
    });
  };

  await work();
  workSoon();

  return {
    view: () => {
      if (!isRead) return { path, problem };
      const none = risks().flatMap(({ what, adapter }) => ends.map((end) => ({ end, what, adapter, count: 0 })));
      return { path, problem, before, past: { ends: past.ends, lost: sums<LostAmount>([...past.lost, ...none]) } };
    },
    async close(left) {
      closed = true;
      cancel?.();
      const done = (async () => {
        await working;
        if (held === undefined) return;
        await write(held.file, left, true);
        await held.file.sync();
        await held.file.close();
        await held.lock.release();
      })().catch(fail);
      if ((await within(done, closeMs, timers)) === late)
        log.warn({ path }, "the end of the hub was not noted in time");
    },
  };
}

const ends: readonly End[] = ["killed", "stopped"];

/** Whether there is as much at risk in each place as there was. It is asked again and again where nothing happens. */
function isSame(places: readonly Risk[], amounts: readonly Amount[]): boolean {
  if (places.length !== amounts.length) return false;
  for (let i = 0; i < places.length; i++) {
    const { what, adapter, unsafe } = places[i]!;
    const amount = amounts[i]!;
    if (unsafe !== amount.count || what !== amount.what || adapter !== amount.adapter) return false;
  }
  return true;
}

function pastOf({ startedMs, writtenMs, hasStopped, atRisk }: LedgerState): PastProcess {
  const lost = atRisk.filter((amount) => !isRepeated(amount));
  return { end: hasStopped ? "stopped" : "killed", startedMs, writtenMs, lost };
}
