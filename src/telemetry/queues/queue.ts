import type { Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import { Backlog, type Done } from "./backlog.ts";
import type { Cargo } from "./cargo.ts";
import { offer, type Deliver } from "./offer.ts";
import type { QueueLimits } from "./queue-limits.ts";

export interface QueueOptions<T> {
  /** The adapter's name in `weir.yaml`. */
  readonly adapter: string;
  /** What the queue holds. */
  readonly cargo: Cargo<T>;
  /** The adapter's method for it. */
  readonly deliver: Deliver<T>;
  readonly limits: QueueLimits;
  readonly observer: Observer;
  readonly log: Log;
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly timers: Timers;
}

/** How many full batches go out in a row before others have their turn. */
const batchesInRow = 4;

/**
 * The bounded queue in front of one adapter instance that exports. Entries go out in order, in batches, one batch at a
 * time: when a batch is full or its first entry has waited long enough. What is not delivered is offered again, later
 * and later with some chance in it (full jitter), and dropped and counted in the end. Delivery is at least once: an
 * offer that timed out may have arrived.
 */
export class ExportQueue<T> {
  readonly #options: QueueOptions<T>;
  readonly #entries = new Backlog<T>();
  /** Batches in a row for which nobody had a turn between. */
  #inRow = 0;
  /** Offers in a row that have not delivered all they had. */
  #attempts = 0;
  /** When the first of them was made. */
  #failingSinceMs = 0;
  /** Whether the last offer failed: an operator is told of the first of a row of failures, and of its end. */
  #failing = false;
  /** For how long the adapter asked to be left alone after the last offer. */
  #askedMs = 0;
  /** Why the last offer failed. */
  #reason: unknown;
  /** The offer under way. */
  #delivering: AbortController | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Set while the queue is being emptied for good: no batch waits to be full. */
  #closing = false;
  /** While it is closed with what others keep: when an adapter that does not take it is tried no longer. */
  #cancelLastTry: (() => void) | undefined;
  #closed = false;
  /** What was left in the queue when it was closed, and that nobody else has. */
  #left = 0;
  #idle: (() => void)[] = [];
  #waiting: (() => void)[] = [];

  constructor(options: QueueOptions<T>) {
    this.#options = options;
  }

  get adapter(): string {
    return this.#options.adapter;
  }

  get capability(): Cargo<T>["capability"] {
    return this.#options.cargo.capability;
  }

  /** How many entries wait. */
  get length(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  get capacity(): number {
    return this.#options.limits.entries;
  }

  get what(): Cargo<T>["dropped"] {
    return this.#options.cargo.dropped;
  }

  /** How many entries nobody else has that may not have been delivered yet; after closing, how many were left. */
  get unsafe(): number {
    return this.#entries.unasked + this.#left;
  }

  /** Why a batch was not taken that is to be offered again; `undefined` where none is. */
  get problem(): string | undefined {
    if (this.#attempts === 0) return undefined;
    const reason = this.#reason instanceof Error ? this.#reason.message : String(this.#reason ?? "it says not why");
    return `it does not take ${this.#options.cargo.noun}: ${reason.slice(0, 300)}`;
  }

  /** How many entries may be put in now. The last of them may go beyond the limit of bytes. */
  get room(): number {
    if (this.#closed || this.#entries.bytes >= this.#options.limits.bytes) return 0;
    return this.capacity - this.#entries.length;
  }

  /** Resolves when entries have left, or when the signal is aborted. */
  waitForRoom(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake);
      this.#waiting.push(wake);
    });
  }

  /**
   * Puts an entry in. The caller has seen that there is room.
   *
   * @param done called when the entry was delivered or given up. It is not called, nor is the entry counted as dropped,
   *   when the queue is closed with it: its sender still has it
   */
  push(entry: T, done?: Done): void {
    this.#entries.push(entry, this.#options.cargo.sizeOf(entry), done);
    if (this.#delivering !== undefined || this.#attempts > 0) return;
    if (this.#entries.length === this.#options.limits.batch) this.#arm(0);
    else if (this.#cancelTimer === undefined) this.#arm(this.#options.limits.delayMs);
  }

  /**
   * Delivers all that waits without waiting for more, for at most `deadlineMs`; then drops what is left. Nothing can be put
   * in after. Where senders keep all that waits, an adapter that does not take it is not tried for that long.
   */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    if (this.#entries.length > 0 || this.#delivering !== undefined) {
      const emptied = new Promise<void>((resolve) => this.#idle.push(resolve));
      const cancel = this.#options.timers.after(deadlineMs, () => this.#finish());
      if (this.#attempts > 0) this.#tryOnce();
      else if (this.#delivering === undefined) this.#arm(0);
      await emptied;
      cancel();
    }
    this.#finish();
  }

  /** It may be back by now, long before the next attempt is due. */
  #tryOnce(): void {
    if (!this.#isKept) return;
    const isTrying = this.#delivering !== undefined;
    if (!isTrying && this.#askedMs > 0) return this.#leaveKept();
    this.#endTries();
    if (!isTrying) this.#arm(0);
  }

  /** From now on the adapter has so much time to take something again. */
  #endTries(): void {
    this.#cancelLastTry ??= this.#options.timers.after(this.#options.limits.lastTryMs, () => {
      this.#cancelLastTry = undefined;
      if (this.#attempts > 0 && this.#isKept) this.#leaveKept();
    });
  }

  /** Whether others have all that waits. */
  get #isKept(): boolean {
    return this.#entries.unasked === 0;
  }

  #leaveKept(): void {
    const { log, adapter, cargo } = this.#options;
    const kept = this.#entries.length;
    log.info({ adapter, kept }, `adapter ${adapter} does not take ${cargo.noun}: the buffer keeps them`);
    this.#finish();
  }

  #finish(): void {
    this.#closed = true;
    this.#cancelLastTry?.();
    this.#cancelLastTry = undefined;
    this.#delivering?.abort(new Error("the queue is closed"));
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#leave();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #arm(ms: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.timers.after(ms, () => {
      this.#cancelTimer = undefined;
      this.#inRow = 0;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    if (this.#closed || this.#delivering !== undefined || this.#entries.length === 0) return;
    const { limits, observer, adapter, cargo, deliver, now, timers } = this.#options;
    const controller = new AbortController();
    this.#delivering = controller;
    const batch = this.#entries.first(limits.batch);
    const began = now();
    const { delivered, retry, outcome, reason, retryAfterMs } = await offer(
      deliver,
      batch,
      controller,
      limits.timeoutMs,
      timers,
    );
    this.#delivering = undefined;
    this.#reason = reason;
    this.#tell(outcome === "ok", reason);
    observer.adapterCall(adapter, cargo.capability, outcome, now() - began);
    // The deadline of close has passed meanwhile, and what was left is dropped and counted.
    if (this.#closed) return;
    this.#take(delivered);
    if (delivered === batch.length) this.#attempts = 0;
    else if (!retry) {
      this.#attempts = 0;
      this.#drop(batch.length - delivered, "refused");
    } else {
      if (delivered > 0 || this.#attempts === 0) this.#failingSinceMs = now();
      this.#attempts = delivered > 0 ? 1 : this.#attempts + 1;
      if (this.#attempts >= limits.attempts && now() - this.#failingSinceMs >= limits.patienceMs) {
        this.#attempts = 0;
        this.#drop(batch.length - delivered, "retries_exhausted");
      }
    }
    this.#next(retry ? Math.min(retryAfterMs ?? 0, limits.maxRetryAfterMs) : 0);
  }

  /** Decides when the next batch goes out: not before `leastMs`. */
  #next(leastMs: number): void {
    const { limits, random } = this.#options;
    this.#askedMs = leastMs;
    if (this.#entries.length === 0) for (const resolve of this.#idle.splice(0)) resolve();
    else if (this.#attempts > 0) {
      const longest = Math.min(limits.maxBackoffMs, limits.backoffMs * 2 ** Math.min(this.#attempts - 1, 30));
      const pauseMs = Math.max(longest * (0.5 + random() / 2), leastMs);
      if (this.#closing && this.#isKept) {
        if (pauseMs >= limits.lastTryMs) return this.#leaveKept();
        this.#endTries();
      }
      this.#arm(pauseMs);
    } else if (!this.#closing && this.#entries.length < limits.batch) this.#arm(Math.max(limits.delayMs, leastMs));
    else if (leastMs > 0 || ++this.#inRow >= batchesInRow) this.#arm(leastMs);
    else void this.#send();
  }

  #tell(ok: boolean, reason: unknown): void {
    const { log, adapter, cargo } = this.#options;
    if (ok === !this.#failing) return;
    this.#failing = !ok;
    if (ok) log.info({ adapter }, `adapter ${adapter} takes ${cargo.noun} again`);
    else log.warn({ adapter, err: reason }, `adapter ${adapter} does not take ${cargo.noun}`);
  }

  /** Takes entries from the front. */
  #take(count: number): void {
    this.#entries.take(count);
    this.#wake();
  }

  /** Lets go of all that is left, for good. Those whose senders keep them until they are done are not lost. */
  #leave(): void {
    const lost = this.#entries.clear();
    this.#left += lost;
    this.#wake();
    if (lost === 0) return;
    const { log, adapter, cargo, observer } = this.#options;
    observer.dropped(cargo.dropped, "closed", lost);
    // Nobody may scrape what a process counts at its end.
    log.warn({ adapter, lost }, `adapter ${adapter} did not take all ${cargo.noun} in time: ${lost} dropped`);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #drop(count: number, reason: string): void {
    if (count === 0) return;
    this.#take(count);
    this.#options.observer.dropped(this.#options.cargo.dropped, reason, count);
  }
}
