import { Duration } from "../../attributes/duration.ts";
import { formatValue } from "../../attributes/text.ts";
import { jsonValue } from "../json.ts";

/** What a label says whose attribute is absent, or whose expression failed. */
export const unknownLabel = "unknown";

/** Small whole numbers as text, status codes above all. */
const smallNumbers: readonly string[] = Array.from({ length: 1024 }, (_, n) => String(n));

/** A label's text for a value that is there: the value's canonical text, JSON for what is no scalar. */
export function labelText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return smallNumbers[value] ?? formatValue(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  const json = jsonValue(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** A sample's number: integers beyond 2^53 rounded, durations in the unit. `NaN` where the value is no number. */
export function sampleNumber(value: unknown, unit: "s" | "ms"): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Duration) return unit === "s" ? value.seconds + value.nanos / 1e9 : value.ms;
  return NaN;
}
