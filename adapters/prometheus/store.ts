import type { Log, MetricGroup, MetricRecorder, MetricSpec } from "weir/sdk";
import { Family } from "./family.ts";
import { Interner } from "./interner.ts";
import { LabelTable, mix } from "./label-table.ts";
import { checkNames } from "./names.ts";

/** What every label of the series says that takes the samples which have no room. */
export const overflowValue = "__overflow__";

export interface StoreOptions {
  /** The most series of one metric, not counting the one for overflow. */
  readonly maxSeries: number;
  /** Put before each metric's name. */
  readonly prefix: string;
  /** The longest label value, in UTF-16 units; what is longer is cut. */
  readonly maxLabelLength: number;
  readonly log: Log;
  readonly count: (event: string, by?: number) => void;
}

/**
 * All metrics of one instance. Families with the same label names share one table of label sets, so that a group of
 * metrics finds its row once. A family keeps its series as long as some recorder writes to it, over any number of
 * reloads; a definition that changed begins anew.
 */
export class Store {
  readonly #options: StoreOptions;
  readonly #interner = new Interner();
  readonly #tables = new Map<string, LabelTable>();
  /** By name, the definitions in use: the last is shown; those before it end with the policy set that they come from. */
  readonly #families = new Map<string, Family[]>();
  #tick = 1;
  #scrape = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** The families that are shown, sorted by name. */
  get families(): readonly Family[] {
    return [...this.#families.values()].map((same) => same.at(-1)!).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** How many label values are held. */
  get values(): number {
    return this.#interner.size;
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

  /** A recorder for a group of metrics. Throws when Prometheus could not read a name of the group. */
  recorder(group: MetricGroup): MetricRecorder {
    const { prefix } = this.#options;
    checkNames(group, prefix);
    const table = this.#table(group.labels);
    const families = group.metrics.map((spec) => this.#open(spec, prefix + spec.name, table));
    const remembered = group.labels.map((): string | undefined => undefined);
    const tuple = new Int32Array(group.labels.length);
    let version = this.#interner.version;
    let closed = false;

    return {
      record: (labels, values) => {
        if (version !== this.#interner.version) {
          remembered.fill(undefined);
          version = this.#interner.version;
        }
        let hash = 0;
        for (let i = 0; i < tuple.length; i++) {
          const text = labels[i]!;
          if (text !== remembered[i]) {
            const id = this.#interner.find(text);
            if (id === undefined) return this.#recordNew(table, families, labels, values);
            remembered[i] = text;
            tuple[i] = id;
          }
          hash = mix(hash, tuple[i]!);
        }
        const row = table.find(tuple, hash);
        if (row < 0) return this.#recordNew(table, families, labels, values);
        this.#recordIn(row, families, values);
      },
      close: () => {
        if (closed) return;
        closed = true;
        for (const family of families) this.#leave(family);
      },
    };
  }

  #recordIn(row: number, families: readonly Family[], values: readonly number[]): void {
    const tick = this.#tick;
    for (let i = 0; i < families.length; i++) {
      const value = values[i]!;
      if (value !== value) continue;
      const family = families[i]!;
      if (family.has(row)) family.record(row, value, tick);
      else if (this.#hasRoom(family)) {
        family.admit(row, tick);
        family.record(row, value, tick);
      } else this.#overflow(family, value);
    }
  }

  /** Records where the labels, as they are, have no row: they may have to be cut, or be new. */
  #recordNew(
    table: LabelTable,
    families: readonly Family[],
    labels: readonly string[],
    values: readonly number[],
  ): void {
    const clean = this.#clean(labels);
    let row = this.#find(table, clean);
    if (row < 0) {
      const wanted = families.some((family, i) => !Number.isNaN(values[i]) && this.#hasRoom(family));
      if (!wanted) {
        for (const [i, family] of families.entries()) if (!Number.isNaN(values[i])) this.#overflow(family, values[i]!);
        return;
      }
      row = table.add(clean, this.#scrape);
    }
    this.#recordIn(row, families, values);
  }

  #hasRoom(family: Family): boolean {
    return family.series - (family.overflowRow < 0 ? 0 : 1) < this.#options.maxSeries;
  }

  #overflow(family: Family, value: number): void {
    const { count, log, maxSeries } = this.#options;
    if (family.overflowRow < 0) {
      const labels = family.table.names.map(() => overflowValue);
      const known = this.#find(family.table, labels);
      family.overflowRow = known < 0 ? family.table.add(labels, this.#scrape) : known;
      if (!family.has(family.overflowRow)) family.admit(family.overflowRow, this.#tick);
    }
    family.record(family.overflowRow, value, this.#tick);
    count("series_overflow");
    if (family.warned) return;
    family.warned = true;
    const widest = widestLabel(family);
    log.warn(
      { metric: family.name, maxSeries, label: widest?.name, values: widest?.values },
      `metric ${family.name} has reached ${maxSeries} series; new label sets are counted as ${overflowValue}` +
        (widest === undefined ? "" : `; label ${widest.name} has ${widest.values} different values`),
    );
  }

  #find(table: LabelTable, labels: readonly string[]): number {
    const tuple = new Int32Array(labels.length);
    let hash = 0;
    for (const [i, text] of labels.entries()) {
      const id = this.#interner.find(text);
      if (id === undefined) return -1;
      tuple[i] = id;
      hash = mix(hash, id);
    }
    return table.find(tuple, hash);
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

  #open(spec: MetricSpec, name: string, table: LabelTable): Family {
    let same = this.#families.get(name);
    if (same === undefined) this.#families.set(name, (same = []));
    let family = same.find((candidate) => isDefinedAs(candidate, spec, table));
    if (family === undefined) same.push((family = new Family(spec, name, table)));
    family.help = spec.help;
    family.recorders++;
    return family;
  }

  #leave(family: Family): void {
    if (--family.recorders > 0) return;
    family.close();
    const same = this.#families.get(family.name)!.filter((other) => other !== family);
    if (same.length > 0) this.#families.set(family.name, same);
    else this.#families.delete(family.name);
    const inUse = [...this.#families.values()].flat().some((other) => other.table === family.table);
    if (!inUse) this.#tables.delete(family.table.names.join(","));
  }
}

function isDefinedAs(family: Family, spec: MetricSpec, table: LabelTable): boolean {
  const bounds = spec.kind === "histogram" ? (spec.buckets ?? []) : [];
  return (
    family.kind === spec.kind &&
    family.table === table &&
    family.bounds.length === bounds.length &&
    family.bounds.every((bound, i) => bound === bounds[i])
  );
}

/** The label with the most different values: the one to blame for too many series. */
function widestLabel(family: Family): { name: string; values: number } | undefined {
  const { table } = family;
  let widest: { name: string; values: number } | undefined;
  for (const [label, name] of table.names.entries()) {
    const values = new Set<string>();
    for (let row = 0; row < table.rows; row++) if (family.has(row)) values.add(table.value(row, label));
    if (widest === undefined || values.size > widest.values) widest = { name, values: values.size };
  }
  return widest;
}
