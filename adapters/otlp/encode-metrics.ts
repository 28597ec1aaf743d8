import type { SeriesFamily, SeriesPart, SeriesStore } from "weir/sdk";
import { encodeAttribute } from "./encoding.ts";
import { MessageWriter } from "./message-writer.ts";

export type Temporality = "cumulative" | "delta";

/** Part of all metrics, in one request. */
export interface MetricsPage {
  /** An `ExportMetricsServiceRequest` (opentelemetry/proto/collector/metrics/v1/metrics_service.proto), whole. */
  readonly message: Uint8Array;
  /** How many points it has. */
  readonly points: number;
  /** Puts back what `delta` took out of the series, so that it is sent with what comes. Answers how many points were lost. */
  giveBack(): number;
}

export interface EncodeMetricsOptions {
  readonly store: SeriesStore;
  readonly temporality: Temporality;
  /** A `Resource` and an `InstrumentationScope`, whole. */
  readonly resource: Uint8Array;
  readonly scope: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The most points of a page, and the bytes beyond which it gets no more: receivers take 4 MiB over gRPC. */
const maxPoints = 1000;
const maxBytes = 1024 * 1024;

/** `AggregationTemporality` of opentelemetry/proto/metrics/v1/metrics.proto. */
const temporalities: Readonly<Record<Temporality, number>> = { delta: 1, cumulative: 2 };

/** The field of `Metric` that holds each kind: gauge (5), sum (7), histogram (9). */
const kindFields: Readonly<Record<SeriesFamily["kind"], number>> = { gauge: 5, counter: 7, histogram: 9 };

/**
 * Everything recorded, in pages. A page is made when it is asked for, with the values of that moment; between two of them
 * others may have their turn. With `delta`, series that have nothing new are left out, and those of a page are taken out
 * of the store.
 */
export function* encodeMetrics(options: EncodeMetricsOptions): Generator<MetricsPage> {
  let page = new Page(options);
  for (const family of options.store.families) {
    const attributes = new AttributeTexts(family);
    page.beginMetric(family);
    // Read again each time: rows come and go while a page is on its way.
    for (let row = 0; row < family.table.rows; row++) {
      if (!family.has(row)) continue;
      page.add(row, attributes);
      if (!page.isFull) continue;
      yield page.finish();
      page = new Page(options);
      page.beginMetric(family);
    }
    page.endMetric();
  }
  if (page.points > 0) yield page.finish();
}

/** The attributes of a family's series, encoded: most values stand in many series. */
class AttributeTexts {
  readonly #family: SeriesFamily;
  readonly #field: number;
  readonly #known: readonly Map<string, Uint8Array>[];
  /** The attribute of the series that takes what has no room (OpenTelemetry's metrics SDK, "Overflow attribute"). */
  readonly #overflow: Uint8Array;

  constructor(family: SeriesFamily) {
    this.#family = family;
    // `attributes` of `HistogramDataPoint` and of `NumberDataPoint`.
    this.#field = family.kind === "histogram" ? 9 : 7;
    this.#known = family.table.names.map(() => new Map());
    this.#overflow = encodeAttribute(this.#field, "otel.metric.overflow", true);
  }

  write(writer: MessageWriter, row: number): void {
    const { table, overflowRow } = this.#family;
    if (row === overflowRow) return writer.raw(this.#overflow);
    for (let label = 0; label < table.names.length; label++) {
      const value = table.value(row, label);
      const known = this.#known[label]!;
      let encoded = known.get(value);
      if (encoded === undefined) known.set(value, (encoded = encodeAttribute(this.#field, table.names[label]!, value)));
      writer.raw(encoded);
    }
  }
}

interface Taken {
  readonly family: SeriesFamily;
  readonly row: number;
  readonly part: SeriesPart;
  readonly atMs: number;
}

class Page {
  readonly #options: EncodeMetricsOptions;
  readonly #writer = new MessageWriter(64 * 1024);
  readonly #taken: Taken[] = [];
  #family: SeriesFamily | undefined;
  /** Whether the family's metric was begun: it is with its first point. */
  #begun = false;
  #points = 0;

  constructor(options: EncodeMetricsOptions) {
    this.#options = options;
    const writer = this.#writer;
    writer.begin(1);
    writer.bytes(1, options.resource);
    writer.begin(2);
    writer.bytes(1, options.scope);
  }

  get points(): number {
    return this.#points;
  }

  get isFull(): boolean {
    return this.#points >= maxPoints || this.#writer.length >= maxBytes;
  }

  /** The points that come are of this metric. */
  beginMetric(family: SeriesFamily): void {
    this.#family = family;
    this.#begun = false;
  }

  /** Adds the point of one series. */
  add(row: number, attributes: AttributeTexts): void {
    const { temporality, now } = this.#options;
    const family = this.#family!;
    const nowMs = now();
    let part: SeriesPart;
    if (temporality === "delta" && family.kind !== "gauge") {
      part = family.take(row, nowMs);
      if (part.value === 0 && part.counts.every((count) => count === 0)) return;
      this.#taken.push({ family, row, part, atMs: nowMs });
    } else part = partOf(family, row);
    this.#begin(family);
    this.#writer.begin(1);
    writePoint(this.#writer, family, part, nowMs);
    attributes.write(this.#writer, row);
    if (family.kind !== "gauge") writeExemplars(this.#writer, family, row);
    this.#writer.end();
    this.#points++;
  }

  /** Ends a metric that was begun: aggregation_temporality (2) and is_monotonic (3) come after its points. */
  endMetric(): void {
    if (!this.#begun) return;
    const { kind } = this.#family!;
    if (kind !== "gauge") this.#writer.integer(2, temporalities[this.#options.temporality]);
    if (kind === "counter") this.#writer.integer(3, 1);
    this.#writer.end();
    this.#writer.end();
    this.#begun = false;
  }

  finish(): MetricsPage {
    this.endMetric();
    this.#writer.end();
    this.#writer.end();
    const lost = ({ family, row, part, atMs }: Taken): boolean => !family.giveBack(row, part, atMs);
    return {
      message: this.#writer.finish(),
      points: this.#points,
      giveBack: () => this.#taken.filter(lost).length,
    };
  }

  /** Begins a `Metric`: name (1), description (2), and what its kind holds. */
  #begin(family: SeriesFamily): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#writer.begin(2);
    this.#writer.string(1, family.name);
    if (family.help !== "") this.#writer.string(2, family.help);
    this.#writer.begin(kindFields[family.kind]);
  }
}

/**
 * The exemplars of a point, those of a histogram (field 8) or of a number (5): time_unix_nano (2), as_double (3), span_id (4)
 * and trace_id (5).
 */
function writeExemplars(writer: MessageWriter, family: SeriesFamily, row: number): void {
  const field = family.kind === "histogram" ? 8 : 5;
  for (let bucket = 0; bucket <= family.bounds.length; bucket++) {
    const exemplar = family.exemplar(row, bucket);
    if (exemplar === undefined) continue;
    writer.begin(field);
    writer.time(2, exemplar.timeMs);
    writer.double(3, exemplar.value);
    writer.hex(4, exemplar.spanId);
    writer.hex(5, exemplar.traceId);
    writer.end();
  }
}

function partOf(family: SeriesFamily, row: number): SeriesPart {
  const counts: number[] = [];
  if (family.kind === "histogram") for (let i = 0; i <= family.bounds.length; i++) counts.push(family.count(row, i));
  return { startMs: family.startMs(row), value: family.value(row), counts };
}

/**
 * The fields of a `HistogramDataPoint` but for its attributes: start_time_unix_nano (2), time_unix_nano (3), count (4), sum
 * (5), bucket_counts (6) and explicit_bounds (7); or of a `NumberDataPoint`: start_time_unix_nano (2), time_unix_nano (3)
 * and as_double (4).
 */
function writePoint(
  writer: MessageWriter,
  { kind, bounds }: SeriesFamily,
  { startMs, value, counts }: SeriesPart,
  nowMs: number,
): void {
  // A clock that was set back must not let a point end before it began.
  if (kind !== "gauge") writer.time(2, Math.min(startMs, nowMs));
  writer.time(3, nowMs);
  if (kind !== "histogram") return writer.double(4, value);
  let count = 0;
  for (const of of counts) count += of;
  writer.fixed64(4, count);
  writer.double(5, value);
  writer.begin(6);
  for (const of of counts) writer.packedFixed64(of);
  writer.end();
  writer.begin(7);
  for (const bound of bounds) writer.packedDouble(bound);
  writer.end();
}
