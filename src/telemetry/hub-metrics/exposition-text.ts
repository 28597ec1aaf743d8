import { setImmediate } from "node:timers/promises";
import type { ExpositionFormat } from "../../util/exposition.ts";

/** Characters after which a piece of text is handed over. */
const pieceLength = 16 * 1024;

/** One sample of a metric, as prom-client hands it out. */
export interface ExposedSample {
  /** Left out: the metric's. */
  readonly metricName?: string;
  readonly labels?: Readonly<Record<string, string | number | undefined>>;
  readonly value: number;
}

/** One metric and its samples. */
export interface ExposedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values?: Iterable<ExposedSample>;
}

/**
 * Metrics as text 0.0.4 of Prometheus or OpenMetrics 1.0, without the closing `# EOF`, in pieces that end with a line.
 * Requests are answered between two of them. prom-client has a renderer of its own, but one registry of it speaks one
 * format only, and writes everything in one go.
 */
export async function* expositionText(
  metrics: AsyncIterable<ExposedMetric>,
  format: ExpositionFormat,
): AsyncGenerator<string> {
  let piece = "";
  for await (const { name, help, type, values = [] } of metrics) {
    // In OpenMetrics `_total` belongs to a counter's sample and not to its family.
    const counter = format === "openmetrics" && type === "counter";
    const family = counter ? name.replace(/_total$/, "") : name;
    piece += `# HELP ${family} ${escapeHelp(help, format)}\n# TYPE ${family} ${type}\n`;
    for (const { metricName, labels = {}, value } of values) {
      const sample = counter ? `${family}_total` : (metricName ?? name);
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${labelText(label, text, format)}"`);
      piece += `${sample}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberText(value)}\n`;
      if (piece.length < pieceLength) continue;
      yield piece;
      piece = "";
      await setImmediate();
    }
  }
  if (piece !== "") yield piece;
}

function labelText(label: string, value: string | number | undefined, format: ExpositionFormat): string {
  if (label === "le" && typeof value === "number") {
    const text = numberText(value);
    return format === "openmetrics" && /^-?\d+$/.test(text) ? `${text}.0` : text;
  }
  return String(value ?? "")
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}

function escapeHelp(help: string, format: ExpositionFormat): string {
  const text = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return format === "openmetrics" ? text.replaceAll('"', '\\"') : text;
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}
