import type { MetricGroup, MetricKind } from "weir/sdk";

/** Throws when a name of a group is outside Prometheus's data model (https://prometheus.io/docs/concepts/data_model/). */
export function checkNames(group: MetricGroup, prefix: string): void {
  for (const label of group.labels) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) || label.startsWith("__")) {
      throw new Error(`"${label}" is no label name of Prometheus: letters, digits and _, not __ at the start`);
    }
  }
  if (new Set(group.labels).size < group.labels.length) {
    throw new Error(`a label stands twice in ${group.labels.join(", ")}`);
  }
  for (const spec of group.metrics) {
    const name = prefix + spec.name;
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) {
      throw new Error(`"${name}" is no metric name of Prometheus: letters, digits, _ and :, no digit at the start`);
    }
    if (spec.kind === "histogram" && group.labels.includes("le")) {
      throw new Error(`histogram ${name} cannot have the label "le", which tells its buckets apart`);
    }
  }
}

/** The names under which the series of a metric are shown, in either format. */
export function seriesNames(name: string, kind: MetricKind): readonly string[] {
  if (kind === "histogram") return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`];
  // OpenMetrics has `_total` at the end of every counter.
  if (kind === "counter" && !name.endsWith("_total")) return [name, `${name}_total`];
  return [name];
}
