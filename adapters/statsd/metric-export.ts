import type { Host, SeriesFamily, SeriesStore } from "weir/sdk";
import type { StatsdConfig } from "./config.ts";
import { observationLine, valueLine } from "./encode-series.ts";
import { nameSeries, type SeriesName } from "./naming.ts";
import type { Observation, Observations } from "./observations.ts";
import { pack } from "./pack.ts";
import type { Target } from "./udp-target.ts";

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
  /** Sends what there is a last time. */
  close(): Promise<void>;
}

export function createMetricExport(options: MetricExportOptions): MetricExport {
  const { config, store, observations, target, host, pause } = options;
  let underway: Promise<void> | undefined;

  async function sendAll(): Promise<void> {
    // What no policy records any more is sent a last time.
    const last = store.unused();
    const observed = observations.take();
    try {
      // Counters keep what they have until there is somebody to tell; of single values only so many could be kept.
      if (!target.isKnown()) return lose(observed.length);
      const lines = allLines(observed, new Set([...last, ...store.families]));
      let sent = 0;
      for (const datagram of pack(lines, config.datagramSize, () => host.count("line_too_long"))) {
        await target.send(datagram);
        if (++sent % turn === 0) await pause();
      }
    } finally {
      store.drop(last);
    }
  }

  function lose(values: number): void {
    if (values > 0) host.count("values_lost", values);
  }

  function* allLines(observed: readonly Observation[], families: Iterable<SeriesFamily>): Generator<string> {
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
    async close() {
      await underway;
      await begin();
    },
  };
}
