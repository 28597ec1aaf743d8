import type { MetricRule } from "../snapshot.ts";

/** How two rules that feed one metric of one adapter differ in what must be the same, or `undefined`. */
export function metricConflict(first: MetricRule, other: MetricRule): string | undefined {
  if (first.type !== other.type) return `is a ${other.type} here and a ${first.type}`;
  const labels = (rule: MetricRule) =>
    rule.labels
      .map((label) => label.name)
      .sort()
      .join(", ") || "no labels";
  if (labels(first) !== labels(other)) return `has ${labels(other)} as labels here and ${labels(first)}`;
  if (String(first.buckets) !== String(other.buckets)) return "has other buckets here than";
  return undefined;
}
