import type { RawBuckets } from "../schema/report-rule.ts";
import type { Reading } from "../shape/shape.ts";

/** The most bounds of one histogram: every one of them is a series for every combination of labels. */
const maxBuckets = 200;

/** Prometheus's usual bounds, in seconds. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Bounds for durations where a rule gives none. */
export function defaultBuckets(unit: "s" | "ms"): readonly number[] {
  return unit === "s" ? durationBuckets : durationBuckets.map((bound) => bound * 1000);
}

/** Upper bounds, strictly ascending; `undefined` when they are not, which is told. */
export function readBuckets(reading: Reading, raw: RawBuckets): readonly number[] | undefined {
  const refuse = (message: string, hint?: string) =>
    reading.tell(raw.node, { code: "WEIR_POLICY_SHAPE", message, hint });
  let bounds: number[];
  if ("items" in raw) {
    // An item that is no number was told.
    if (raw.node.kind === "list" && raw.items.length < raw.node.items.length) return undefined;
    bounds = raw.items.map((item) => item.value);
    const wrong = raw.items.find((item, i) => i > 0 && item.value <= raw.items[i - 1]!.value);
    if (wrong !== undefined) return reading.mismatch(wrong.node, "a bound above the one before it");
  } else if (raw.kind === "linear") {
    const { start, width, count } = raw.linear ?? {};
    if (start === undefined || width === undefined || count === undefined) return undefined;
    bounds = Array.from({ length: count.value }, (_, i) => start.value + i * width.value);
  } else {
    const { start, factor, count } = raw.exponential ?? {};
    if (start === undefined || factor === undefined || count === undefined) return undefined;
    bounds = Array.from({ length: count.value }, (_, i) => start.value * factor.value ** i);
  }
  if (bounds.length === 0) return refuse("a histogram has at least one bucket");
  if (bounds.length > maxBuckets) return refuse(`a histogram has at most ${maxBuckets} buckets`);
  if (bounds.some((bound, i) => !Number.isFinite(bound) || (i > 0 && bound <= bounds[i - 1]!)))
    return refuse("these buckets do not ascend, or leave the numbers that a double can hold");
  return bounds;
}
