import type { Exposition, SeriesExemplar, SeriesFamily, SeriesStore } from "weir/sdk";

/** Characters after which a piece of text is handed over. */
const pieceLength = 32 * 1024;

/**
 * Everything recorded, as text 0.0.4 of Prometheus or OpenMetrics 1.0, in pieces of about 32 KiB that end with a line.
 * The closing `# EOF` of OpenMetrics is left to whoever joins the texts. One series is written in one go, so its
 * buckets and its count agree; series that appear meanwhile are left for the next time.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/,
 * https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
 */
export function* render(store: SeriesStore, format: Exposition["format"]): Generator<string> {
  const scrape = store.beginScrape();
  let piece = "";
  for (const family of store.families) {
    if (family.series === 0) continue;
    piece += heading(family, format);
    const lines = family.kind === "histogram" ? histogramLines(family, format) : valueLine(family, format);
    // Read again each time: rows come and go while we wait for the reader.
    for (let row = 0; row < family.table.rows; row++) {
      if (!family.has(row) || !family.table.isOlder(row, scrape)) continue;
      piece += lines(row);
      if (piece.length < pieceLength) continue;
      yield piece;
      piece = "";
    }
  }
  if (piece !== "") yield piece;
}

type Lines = (row: number) => string;

function heading(family: SeriesFamily, format: Exposition["format"]): string {
  // In OpenMetrics `_total` belongs to a counter's sample and not to its family.
  const open = format === "openmetrics";
  const name = open && family.kind === "counter" ? family.name.replace(/_total$/, "") : family.name;
  const help = family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return `# HELP ${name} ${open ? help.replaceAll('"', '\\"') : help}\n# TYPE ${name} ${family.kind}\n`;
}

function valueLine(family: SeriesFamily, format: Exposition["format"]): Lines {
  const { table } = family;
  const total = format === "openmetrics" && family.kind === "counter" && !family.name.endsWith("_total");
  const name = total ? `${family.name}_total` : family.name;
  const open = format === "openmetrics" && family.kind === "counter";
  const exemplar = (row: number): string => (open ? exemplarText(family.exemplar(row)) : "");
  if (table.names.length === 0) return (row) => `${name} ${number(family.value(row))}${exemplar(row)}\n`;
  return (row) => `${name}{${table.labels(row, label)}} ${number(family.value(row))}${exemplar(row)}\n`;
}

function histogramLines(family: SeriesFamily, format: Exposition["format"]): Lines {
  const { name, table } = family;
  const bare = table.names.length === 0;
  const open = format === "openmetrics";
  const head = `${name}_bucket{`;
  const tails = [...family.bounds.map((bound) => boundText(bound, format)), "+Inf"].map(
    (bound) => `${bare ? "" : ","}le="${bound}"} `,
  );
  return (row) => {
    const labels = table.labels(row, label);
    const braces = bare ? " " : `{${labels}} `;
    let text = "";
    let count = 0;
    for (let i = 0; i < tails.length; i++) {
      count += family.count(row, i);
      text += head + labels + tails[i]! + count;
      text += open ? exemplarText(family.exemplar(row, i)) + "\n" : "\n";
    }
    return text + name + "_sum" + braces + number(family.value(row)) + "\n" + name + "_count" + braces + count + "\n";
  };
}

/** What stands behind a sample of OpenMetrics of which a trace is known: its identifiers, value and time in seconds. */
function exemplarText(exemplar: SeriesExemplar | undefined): string {
  if (exemplar === undefined) return "";
  const { traceId, spanId, value, timeMs } = exemplar;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${timeMs / 1000}`;
}

/** A bucket's bound; OpenMetrics wants the canonical form, in which a whole number has `.0`. */
function boundText(bound: number, format: Exposition["format"]): string {
  const text = number(bound);
  return format === "openmetrics" && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function number(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

/** One label as it stands between braces. */
function label(name: string, value: string): string {
  return `${name}="${escapeValue(value)}"`;
}

/** Backslash, quote and line feed as the text formats want them. */
function escapeValue(text: string): string {
  return /[\\"\n]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : text;
}
