import type { Host } from "weir/sdk";
import { encodeMetrics, type EncodeMetricsOptions, type MetricsPage } from "./encode-metrics.ts";
import type { Notices } from "./notices.ts";
import type { Outcome, Transport } from "./outcome.ts";

export interface MetricExportOptions {
  readonly transport: Transport;
  readonly metrics: EncodeMetricsOptions;
  /** How long one export may take, retries and all: until the next is due. */
  readonly deadlineMs: number;
  /** How long the last one may take, when the instance is closed. */
  readonly lastDeadlineMs: number;
  readonly host: Pick<Host, "now" | "count" | "signal">;
  readonly notices: Notices;
  /** Waits; rejects when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** Sends metrics, one export at a time. */
export interface MetricExport {
  /** Sends everything recorded, unless the export before is still under way: that one goes on, and this is left out. */
  run(): Promise<void>;
  /** Resolves when an export that begins from now on has sent everything: the next that is due, or one at once. Rejects when there is none any more. */
  exported(options: { readonly atOnce: boolean }): Promise<void>;
  /** How many samples no export has that was taken. */
  unexported(): number;
  /**
   * Ends an export that is under way, and sends everything once more: for as long as the last export may take, or, where
   * the receiver is known to be away and others keep what it does not take, with one short try.
   */
  close(): Promise<void>;
}

/** The pause before the second attempt; it doubles with each, up to the longest. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** How long the last try may take of what others keep. */
const lastTryMs = 1000;

export function createMetricExport(options: MetricExportOptions): MetricExport {
  const { transport, metrics, host, notices, pause, random } = options;
  let underway: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;
  let closed = false;
  let waiting: { readonly resolve: () => void; readonly reject: (reason: Error) => void }[] = [];
  /** How many of the store's samples were exported. */
  let exportedSamples = 0;
  /** Whether an export is to begin as soon as none is under way. */
  let wanted = false;

  /** Sends one page, again where that may help, until it is taken, refused, or the deadline leaves no time. */
  async function send(page: MetricsPage, endMs: number, signal: AbortSignal): Promise<Outcome> {
    for (let attempt = 0; ; attempt++) {
      const outcome = await transport.send("metrics", page.message, signal);
      if (outcome.kind !== "retry") return outcome;
      const ours = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2);
      const ms = Math.max(ours, outcome.afterMs ?? 0);
      notices.failed("metrics", outcome.reason);
      if (signal.aborted || host.now() + ms >= endMs) return outcome;
      try {
        await pause(ms, signal);
      } catch {
        return outcome;
      }
    }
  }

  async function exportAll(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const endMs = host.now() + deadlineMs;
    // What no policy records any more is sent a last time.
    const last = metrics.store.unused();
    const told = waiting;
    const { samples } = metrics.store;
    waiting = [];
    wanted = false;
    let whole = false;
    try {
      whole = await exportPages(endMs, signal);
    } finally {
      metrics.store.drop(last);
      if (whole) {
        exportedSamples = samples;
        for (const { resolve } of told) resolve();
      } else waiting.push(...told);
    }
  }

  /** Whether each page was taken, or refused for good. */
  async function exportPages(endMs: number, signal: AbortSignal): Promise<boolean> {
    for (const page of encodeMetrics(metrics)) {
      const outcome = await send(page, endMs, signal);
      if (outcome.kind === "taken") {
        notices.worked("metrics");
        if (outcome.rejected > 0) host.count("points_rejected", Math.min(outcome.rejected, page.points));
        if (outcome.rejected > 0 || outcome.message !== "")
          notices.partial("metrics", outcome.rejected, outcome.message);
        continue;
      }
      host.count("export_failed");
      notices.failed("metrics", outcome.reason);
      if (outcome.kind === "retry") {
        // There is no time left. What comes after this page was not taken out of the store yet.
        const lost = page.giveBack();
        if (lost > 0) host.count("points_lost", lost);
        return false;
      }
      // Sent as it is, it would be refused again; a cumulative series tells all once more the next time.
      if (metrics.temporality === "delta") host.count("points_lost", page.points);
    }
    return true;
  }

  async function begin(deadlineMs: number): Promise<void> {
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    if (host.signal.aborted) abort();
    host.signal.addEventListener("abort", abort);
    const done = exportAll(deadlineMs, controller.signal).finally(() => {
      host.signal.removeEventListener("abort", abort);
      underway = undefined;
    });
    underway = { controller, done };
    await done;
    if (wanted && !closed) await begin(options.deadlineMs);
  }

  async function tryOnce(): Promise<void> {
    const done = begin(0);
    const tried = new AbortController();
    await Promise.race([done, pause(lastTryMs, tried.signal).catch(() => undefined)]);
    tried.abort();
    underway?.controller.abort();
    await done;
  }

  function giveUp(reason: Error): void {
    for (const { reject } of waiting) reject(reason);
    waiting = [];
  }

  return {
    async run() {
      if (closed || underway !== undefined) return;
      await begin(options.deadlineMs);
    },
    exported: ({ atOnce }) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error("the adapter is closed"));
        waiting.push({ resolve, reject });
        if (!atOnce) return;
        wanted = true;
        if (underway === undefined) begin(options.deadlineMs).catch(giveUp);
      }),
    unexported: () => metrics.store.samples - exportedSamples,
    async close() {
      closed = true;
      if (underway !== undefined) {
        underway.controller.abort();
        await underway.done;
      }
      const isKept = waiting.length > 0;
      if (isKept && notices.failing("metrics") !== undefined) await tryOnce();
      else await begin(options.lastDeadlineMs);
      giveUp(new Error("the adapter was closed before it could export"));
    },
  };
}
