import type { Host, SeriesFamily, SeriesStore } from "weir/sdk";
import type { StatsdConfig } from "./config.ts";
import { observationLine, valueLine } from "./encode-series.ts";
import { nameSeries, type SeriesName } from "./naming.ts";
import type { Observation, Observations } from "./observations.ts";
import { pack } from "./pack.ts";
import type { Target } from "./target.ts";

export interface MetricExportOptions {
  readonly config: StatsdConfig;
  readonly store: SeriesStore;
  readonly observations: Observations;
  readonly target: Target;
  readonly host: Pick<Host, "now" | "count">;
  /** Lets others have their turn. */
  readonly pause: () => Promise<unknown>;
}

/** Datagrams after which others have their turn: what the system takes at once is answered before anything else runs. */
const turn = 16;

/** Sends metrics, once at a time. */
export interface MetricExport {
  /** Sends what there is; while it is being sent, waits for that instead. */
  run(): Promise<void>;
  /** Resolves when all that was recorded until now has been sent: with the next turn, or at once. Rejects when there is none any more. */
  exported(options: { readonly atOnce: boolean }): Promise<void>;
  /** How many samples were not sent. */
  unexported(): number;
  /** Sends what there is a last time. */
  close(): Promise<void>;
}

export function createMetricExport(options: MetricExportOptions): MetricExport {
  const { config, store, observations, target, host, pause } = options;
  const size = config.datagramSize ?? (config.address.kind === "udp" ? 1432 : 8192);
  let underway: Promise<void> | undefined;
  /** What was taken out of the store when nobody took it: sent before all else. Never more than a datagram and a line. */
  let unsent: Buffer[] = [];
  let waiting: { readonly resolve: () => void; readonly reject: (reason: Error) => void }[] = [];
  let closed = false;
  /** How many of the store's samples were sent. */
  let sentSamples = 0;

  async function sendAll(): Promise<void> {
    // What no policy records any more is sent a last time.
    const last = store.unused();
    const observed = observations.take();
    const told = waiting;
    const { samples } = store;
    waiting = [];
    let whole = false;
    let offered = 0;
    function* observedOnes(): Generator<Observation> {
      while (offered < observed.length) yield observed[offered++]!;
    }
    try {
      // Counters keep what they have until there is somebody to tell; of single values only so many could be kept.
      if (!(await sendUnsent())) return;
      const lines = allLines(observedOnes(), new Set([...last, ...store.families]));
      let sent = 0;
      for (const datagram of pack(lines, { size, tooLong, left })) {
        if ((await target.send(datagram)) === "refused") unsent.unshift(datagram);
        if (unsent.length > 0 || !target.isKnown()) return;
        if (++sent % turn === 0) await pause();
      }
      whole = true;
    } finally {
      lose(observed.length - offered);
      store.drop(last);
      if (whole) {
        sentSamples = samples;
        for (const { resolve } of told) resolve();
      } else waiting.push(...told);
    }
  }

  const tooLong = (): void => host.count("line_too_long");
  const left = (lines: Buffer): void => void unsent.push(lines);

  /** Whether there is somebody who takes what comes, to begin with what nobody took the last time. */
  async function sendUnsent(): Promise<boolean> {
    while (target.isKnown()) {
      const [datagram] = unsent;
      if (datagram === undefined) return true;
      if ((await target.send(datagram)) === "refused") return false;
      unsent.shift();
    }
    return false;
  }

  function giveUp(reason: Error): void {
    for (const { reject } of waiting) reject(reason);
    waiting = [];
  }

  function lose(values: number): void {
    if (values > 0) host.count("values_lost", values);
  }

  function* allLines(observed: Iterable<Observation>, families: Iterable<SeriesFamily>): Generator<string> {
    const namings = new Map<SeriesFamily, (row: number) => SeriesName>();
    const nameOf = (family: SeriesFamily, row: number): SeriesName => {
      let naming = namings.get(family);
      if (naming === undefined) namings.set(family, (naming = nameSeries(family, config)));
      return naming(row);
    };
    for (const { family, row, value } of observed) {
      const line = family.has(row) ? observationLine(nameOf(family, row), value, config) : undefined;
      if (line === undefined) lose(1);
      else yield line;
    }
    for (const family of families) {
      const { kind } = family;
      if (kind === "histogram") continue;
      // Read again each time: rows come and go while a datagram is on its way.
      for (let row = 0; row < family.table.rows; row++) {
        if (!family.has(row)) continue;
        if (kind === "counter" && family.value(row) === 0) continue;
        const value = kind === "counter" ? family.take(row, host.now()).value : family.value(row);
        const line = valueLine(nameOf(family, row), kind, value, config.dialect);
        if (line === undefined) lose(1);
        else yield line;
      }
    }
  }

  function begin(): Promise<void> {
    underway = sendAll().finally(() => (underway = undefined));
    return underway;
  }

  return {
    run: () => underway ?? begin(),
    exported: ({ atOnce }) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error("the adapter is closed"));
        waiting.push({ resolve, reject });
        if (!atOnce) return;
        const again = (): Promise<void> | undefined =>
          closed || waiting.length === 0 ? undefined : (underway ?? begin());
        Promise.resolve(underway).then(again).catch(giveUp);
      }),
    unexported: () => store.samples - sentSamples,
    async close() {
      closed = true;
      await underway;
      await begin();
      giveUp(new Error("the adapter was closed before it could send"));
      if (unsent.length > 0) host.count("datagram_failed", unsent.length);
      unsent = [];
    },
  };
}
