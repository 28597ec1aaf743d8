import type { AdapterNames } from "../config/adapter-names.ts";
import type { MetricRule } from "../snapshot.ts";
import type { Finding } from "../yaml/source.ts";

type Metric = Pick<MetricRule, "to" | "metric" | "type">;

/** How the names of the hub's own metrics begin, which the admin listener shows beside those of policies. */
const ownPrefix = /^(weir|process|nodejs)_/;

/** The metrics that the rules of a policy set feed, each of one adapter, and the names that they are shown under. */
export class MetricFamilies {
  readonly #adapters: AdapterNames;
  /** The first rule of each family. */
  readonly #first = new Map<string, MetricRule>();
  /** By page and name of a series, the first rule of the family that is shown so. */
  readonly #shown = new Map<string, MetricRule>();

  constructor(adapters: AdapterNames) {
    this.#adapters = adapters;
  }

  /** Whether a family has the name, or a name that the metric would be shown under. */
  holds(metric: Metric): boolean {
    return this.#first.has(familyKey(metric)) || this.#seriesOf(metric).some(({ key }) => this.#shown.has(key));
  }

  /** Adds a rule. What is wrong with it beside the rules before it, or beside the hub's own metrics. */
  add(rule: MetricRule): Omit<Finding, "code"> | undefined {
    const key = familyKey(rule);
    const first = this.#first.get(key);
    if (first !== undefined) {
      const conflict = metricConflict(first, rule);
      if (conflict === undefined) return undefined;
      const message = `the metric "${rule.metric}" ${conflict} at ${placeOf(first)}`;
      return { message, hint: "rules that feed one metric agree on type, labels and buckets" };
    }
    this.#first.set(key, rule);
    let finding: Omit<Finding, "code"> | undefined;
    for (const { key, name, onAdminPage } of this.#seriesOf(rule)) {
      const other = this.#shown.get(key);
      if (other === undefined) this.#shown.set(key, rule);
      if (finding !== undefined) continue;
      if (other !== undefined) {
        const message = `the metric "${rule.metric}" is shown as ${name}, and so is "${other.metric}" at ${placeOf(other)}`;
        finding = { message, hint: "give it another name" };
      } else if (onAdminPage && ownPrefix.test(name)) {
        const message = `the name ${name} is the hub's own: those of its metrics begin with weir_, process_ and nodejs_`;
        finding = { message, hint: "give it another name" };
      }
    }
    return finding;
  }

  #seriesOf({ to, metric, type }: Metric): { key: string; name: string; onAdminPage: boolean }[] {
    const entry = this.#adapters.get(to);
    const shown = entry?.adapter.shown?.(entry.config, { name: metric, kind: type });
    if (shown === undefined) return [];
    const { onAdminPage, names } = shown;
    return names.map((name) => ({ key: `${onAdminPage ? "" : to}\n${name}`, name, onAdminPage }));
  }
}

function familyKey({ to, metric }: Metric): string {
  return `${to}\n${metric}`;
}

function placeOf({ place }: MetricRule): string {
  return `${place.file}:${place.line}`;
}

/** How two rules that feed one metric of one adapter differ in what must be the same, or `undefined`. */
function metricConflict(first: MetricRule, other: MetricRule): string | undefined {
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
