import type { Log } from "../host.ts";
import type { Exemplar, MetricGroup, MetricRecorder, MetricSpec } from "../metric.ts";
import { SeriesFamily } from "./family.ts";
import { Interner } from "./interner.ts";
import { labelHash, LabelTable } from "./label-table.ts";

/** What every label of the series says that takes the samples which have no room; a family knows it by `overflowRow`. */
export const overflowValue = "__overflow__";

export interface SeriesStoreOptions {
  /** The most series of one metric, not counting the one for overflow. */
  readonly maxSeries: number;
  /** Put before each metric's name. */
  readonly prefix: string;
  /** The longest label value, in UTF-16 units; what is longer is cut. */
  readonly maxLabelLength: number;
  /** Throws when the backend could not read a name of a group. Default: every name will do. */
  readonly checkNames?: (group: MetricGroup, prefix: string) => void;
  /** Whether a metric stays when no recorder writes to it any more, until {@link SeriesStore.drop}. Default: it goes at once. */
  readonly linger?: boolean;
  /**
   * Told of each observation of a histogram once it is recorded, on the hot path: for backends that make their own
   * statistics of single values. The row may be another series' once its own has expired.
   */
  readonly observed?: (family: SeriesFamily, row: number, value: number) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** Told of `series_overflow`, `series_expired` and `label_cut`. */
  readonly count: (event: string, by?: number) => void;
}

/**
 * All metrics of one instance, for adapters that keep them until they are asked, or until it is time to send. Label sets
 * are rows of integers that all metrics with the same labels share, values are columns of typed arrays: to record a sample
 * of known labels allocates nothing. Families with the same label names share one table of label sets, so that a group of
 * metrics finds its row once. A family keeps its series as long as some recorder writes to it, over any number of
 * reloads; a definition that changed begins anew.
 */
export class SeriesStore {
  readonly #options: SeriesStoreOptions;
  readonly #interner = new Interner();
  readonly #tables = new Map<string, LabelTable>();
  /** By name, the definitions in use: the last is shown; those before it end with the policy set that they come from. */
  readonly #families = new Map<string, SeriesFamily[]>();
  #tick = 1;
  #scrape = 0;
  #samples = 0;

  constructor(options: SeriesStoreOptions) {
    this.#options = options;
  }

  /** The families that are shown, sorted by name. */
  get families(): readonly SeriesFamily[] {
    return [...this.#families.values()].map((same) => same.at(-1)!).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** How many label values are held. */
  get values(): number {
    return this.#interner.size;
  }

  /** How many samples were recorded since the store was made, those in series for overflow included. */
  get samples(): number {
    return this.#samples;
  }

  /** Numbers a scrape: series made from now on are not for it. */
  beginScrape(): number {
    return ++this.#scrape;
  }

  /** Moves the store's time on and drops what was not written for so many ticks. */
  sweep(idleTicks: number): void {
    this.#tick++;
    let dropped = 0;
    for (const family of [...this.#families.values()].flat()) dropped += family.dropBefore(this.#tick - idleTicks);
    if (dropped > 0) this.#options.count("series_expired", dropped);
  }

  /** The families that no recorder writes to, where they linger. */
  unused(): readonly SeriesFamily[] {
    return [...this.#families.values()].flat().filter((family) => family.recorders === 0);
  }

  /** Drops families with their series, but for those that a recorder writes to. */
  drop(families: readonly SeriesFamily[]): void {
    for (const family of families) {
      const same = this.#families.get(family.name);
      if (family.recorders > 0 || same?.includes(family) !== true) continue;
      family.close();
      const others = same.filter((other) => other !== family);
      if (others.length > 0) this.#families.set(family.name, others);
      else this.#families.delete(family.name);
      const inUse = [...this.#families.values()].flat().some((other) => other.table === family.table);
      if (!inUse) this.#tables.delete(family.table.names.join(","));
    }
  }

  /** A recorder for a group of metrics. Throws what `checkNames` throws. */
  recorder(group: MetricGroup): MetricRecorder {
    const { prefix } = this.#options;
    this.#options.checkNames?.(group, prefix);
    const table = this.#table(group.labels);
    const families = group.metrics.map((spec) => this.#open(spec, prefix + spec.name, table));
    // What the labels said last. All are texts from the start, since to compare texts with anything else costs more.
    const remembered = group.labels.map(() => "");
    const interner = this.#interner;
    const width = group.labels.length;
    const tuple = new Int32Array(width);
    let hash = hashOf(tuple);
    // That of the interner when all labels were looked up: with another one none counts that is remembered.
    let version = -1;
    let closed = false;
    // The array that labels came in last, and those of its first 32, a bit each, that were not looked up then.
    let last: readonly string[] | undefined;
    let behind = 0;

    return {
      record: (labels, values, exemplar, changed = -1) => {
        const isVoid = version !== interner.version;
        const wanted = isVoid || labels !== last ? -1 : changed | behind;
        last = labels;
        let sum = hash | 0;
        for (let i = 0; i < width; i++) {
          if (i < 32 && ((wanted >>> i) & 1) === 0) continue;
          const text = labels[i]!;
          if (text === remembered[i] && !isVoid) continue;
          const id = interner.find(text);
          if (id === undefined) {
            hash = sum;
            behind = i < 32 ? (wanted >>> i) << i : 0;
            return this.#recordNew(table, families, labels, values, exemplar);
          }
          remembered[i] = text;
          sum = (((sum - labelHash(i, tuple[i]!)) | 0) + labelHash(i, id)) | 0;
          tuple[i] = id;
        }
        behind = 0;
        hash = sum;
        if (isVoid) version = interner.version;
        const row = table.find(tuple, sum);
        if (row < 0) return this.#recordNew(table, families, labels, values, exemplar);
        this.#recordIn(row, families, values, exemplar);
      },
      close: () => {
        if (closed) return;
        closed = true;
        for (const family of families) this.#leave(family);
      },
    };
  }

  #recordIn(
    row: number,
    families: readonly SeriesFamily[],
    values: readonly number[],
    exemplar: Exemplar | undefined,
  ): void {
    const tick = this.#tick;
    for (let i = 0; i < families.length; i++) {
      const value = values[i]!;
      if (value !== value) continue;
      const family = families[i]!;
      this.#samples++;
      if (family.has(row)) family.record(row, value, tick);
      else if (this.#hasRoom(family)) {
        family.admit(row, tick, this.#options.now());
        family.record(row, value, tick);
      } else {
        this.#overflow(family, value);
        continue;
      }
      if (exemplar !== undefined) family.note(row, value, exemplar, this.#options.now());
    }
  }

  /** Records where the labels, as they are, have no row: they may have to be cut, or be new. */
  #recordNew(
    table: LabelTable,
    families: readonly SeriesFamily[],
    labels: readonly string[],
    values: readonly number[],
    exemplar: Exemplar | undefined,
  ): void {
    const clean = this.#clean(labels);
    let row = this.#find(table, clean);
    if (row < 0) {
      const wanted = families.some((family, i) => !Number.isNaN(values[i]) && this.#hasRoom(family));
      if (!wanted) {
        for (const [i, family] of families.entries()) {
          if (Number.isNaN(values[i])) continue;
          this.#samples++;
          this.#overflow(family, values[i]!);
        }
        return;
      }
      row = table.add(clean, this.#scrape);
    }
    this.#recordIn(row, families, values, exemplar);
  }

  #hasRoom(family: SeriesFamily): boolean {
    return family.series - (family.overflowRow < 0 ? 0 : 1) < this.#options.maxSeries;
  }

  #overflow(family: SeriesFamily, value: number): void {
    const { count, log, maxSeries } = this.#options;
    if (family.overflowRow < 0) {
      const labels = family.table.names.map(() => overflowValue);
      const known = this.#find(family.table, labels);
      family.overflowRow = known < 0 ? family.table.add(labels, this.#scrape) : known;
      if (!family.has(family.overflowRow)) family.admit(family.overflowRow, this.#tick, this.#options.now());
    }
    family.record(family.overflowRow, value, this.#tick);
    count("series_overflow");
    if (family.warned) return;
    family.warned = true;
    const widest = widestLabel(family);
    log.warn(
      { metric: family.name, maxSeries, label: widest?.name, values: widest?.values },
      `metric ${family.name} has reached ${maxSeries} series; new label sets are counted in one series for overflow` +
        (widest === undefined ? "" : `; label ${widest.name} has ${widest.values} different values`),
    );
  }

  #find(table: LabelTable, labels: readonly string[]): number {
    const tuple = new Int32Array(labels.length);
    for (const [i, text] of labels.entries()) {
      const id = this.#interner.find(text);
      if (id === undefined) return -1;
      tuple[i] = id;
    }
    return table.find(tuple, hashOf(tuple));
  }

  /** Cuts what is too long and replaces what is no Unicode text, which would be one and the same on the wire. */
  #clean(labels: readonly string[]): readonly string[] {
    const { maxLabelLength, count } = this.#options;
    return labels.map((label) => {
      if (label.length > maxLabelLength) count("label_cut");
      return label.slice(0, maxLabelLength).replace(/\p{Surrogate}/gu, "\ufffd");
    });
  }

  #table(names: readonly string[]): LabelTable {
    const key = names.join(",");
    let table = this.#tables.get(key);
    if (table === undefined) this.#tables.set(key, (table = new LabelTable([...names], this.#interner)));
    return table;
  }

  #open(spec: MetricSpec, name: string, table: LabelTable): SeriesFamily {
    let same = this.#families.get(name);
    if (same === undefined) this.#families.set(name, (same = []));
    let family = same.find((candidate) => isDefinedAs(candidate, spec, table));
    if (family === undefined) {
      const made = new SeriesFamily(spec, name, table);
      const { observed } = this.#options;
      if (observed !== undefined) made.observed = (row, value) => observed(made, row, value);
      same.push((family = made));
    }
    family.help = spec.help;
    family.recorders++;
    return family;
  }

  #leave(family: SeriesFamily): void {
    family.recorders--;
    if (this.#options.linger !== true) this.drop([family]);
  }
}

function hashOf(tuple: Int32Array): number {
  return tuple.reduce((hash, id, label) => (hash + labelHash(label, id)) | 0, 0);
}

function isDefinedAs(family: SeriesFamily, spec: MetricSpec, table: LabelTable): boolean {
  const bounds = spec.kind === "histogram" ? (spec.buckets ?? []) : [];
  return (
    family.kind === spec.kind &&
    family.table === table &&
    family.bounds.length === bounds.length &&
    family.bounds.every((bound, i) => bound === bounds[i])
  );
}

/** The label with the most different values: the one to blame for too many series. */
function widestLabel(family: SeriesFamily): { name: string; values: number } | undefined {
  const { table } = family;
  let widest: { name: string; values: number } | undefined;
  for (const [label, name] of table.names.entries()) {
    const values = new Set<string>();
    for (let row = 0; row < table.rows; row++)
      if (family.has(row) && row !== family.overflowRow) values.add(table.value(row, label));
    if (widest === undefined || values.size > widest.values) widest = { name, values: values.size };
  }
  return widest;
}
