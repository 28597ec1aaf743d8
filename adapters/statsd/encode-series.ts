import type { SeriesFamily } from "weir/sdk";
import type { StatsdConfig } from "./config.ts";
import type { SeriesName } from "./naming.ts";

/** The type that a line of an observation has. */
const observationTypes: Readonly<Record<NonNullable<StatsdConfig["histograms"]>, string>> = {
  timer: "ms",
  histogram: "h",
  distribution: "d",
};

export type LineOptions = Pick<StatsdConfig, "dialect" | "histograms" | "rate">;

/**
 * One observation of a histogram as a line; `undefined` where the server would not take it (a timer below 0).
 *
 * https://github.com/statsd/statsd/blob/master/docs/metric_types.md,
 * https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
 */
export function observationLine({ name, tags }: SeriesName, value: number, options: LineOptions): string | undefined {
  const { dialect, histograms = dialect === "statsd" ? "timer" : "distribution", rate } = options;
  if (!Number.isFinite(value) || (histograms === "timer" && value < 0)) return undefined;
  return `${name}:${value}|${observationTypes[histograms]}${rate < 1 ? `|@${rate}` : ""}${tags}`;
}

/** What a counter counted since it was last sent, or what a gauge is; `undefined` where it is no number. */
export function valueLine(
  { name, tags }: SeriesName,
  kind: Exclude<SeriesFamily["kind"], "histogram">,
  value: number,
  dialect: LineOptions["dialect"],
): string | undefined {
  if (!Number.isFinite(value)) return undefined;
  if (kind === "counter") return `${name}:${value}|c${tags}`;
  // To statsd a sign means a change of the gauge: one below 0 is set to 0 first, in the same datagram.
  const reset = dialect === "statsd" && value < 0 ? `${name}:0|g\n` : "";
  return `${reset}${name}:${value}|g${tags}`;
}
