import type { AdapterNames } from "../config/adapter-names.ts";
import { textOf } from "../config/foreign-code.ts";
import type { MetricRule } from "../snapshot.ts";
import type { Finding } from "../yaml/source.ts";

type Metric = Pick<MetricRule, "to" | "metric" | "type">;

/** A name that a metric is shown under, and what it is among those of all pages. */
interface Series {
  readonly key: string;
  readonly name: string;
  readonly onAdminPage: boolean;
}

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
    if (this.#first.has(familyKey(metric))) return true;
    const series = this.#seriesOf(metric);
    return !("fault" in series) && series.some(({ key }) => this.#shown.has(key));
  }

  /** Adds a rule. What is wrong with it beside the rules before it, or beside the hub's own metrics. */
  add(rule: MetricRule): Finding | undefined {
    const code = "WEIR_POLICY_DUPLICATE";
    const key = familyKey(rule);
    const first = this.#first.get(key);
    if (first !== undefined) {
      const conflict = metricConflict(first, rule);
      if (conflict === undefined) return undefined;
      const message = `the metric "${rule.metric}" ${conflict} at ${placeOf(first)}`;
      return { code, message, hint: "rules that feed one metric agree on type, labels and buckets" };
    }
    this.#first.set(key, rule);
    const series = this.#seriesOf(rule);
    if ("fault" in series) {
      const message = `the adapter "${rule.to}" fails to say how it shows "${rule.metric}": ${series.fault}`;
      return { code: "WEIR_ADAPTER_CONFIG", message };
    }
    let finding: Finding | undefined;
    for (const { key, name, onAdminPage } of series) {
      const other = this.#shown.get(key);
      if (other === undefined) this.#shown.set(key, rule);
      if (finding !== undefined) continue;
      if (other !== undefined) {
        const message = `the metric "${rule.metric}" is shown as ${name}, and so is "${other.metric}" at ${placeOf(other)}`;
        finding = { code, message, hint: "give it another name" };
      } else if (onAdminPage && ownPrefix.test(name)) {
        const message = `the name ${name} is the hub's own: those of its metrics begin with weir_, process_ and nodejs_`;
        finding = { code, message, hint: "give it another name" };
      }
    }
    return finding;
  }

  #seriesOf({ to, metric, type }: Metric): readonly Series[] | { readonly fault: string } {
    const entry = this.#adapters.get(to);
    if (entry?.adapter.shown === undefined) return [];
    try {
      const { onAdminPage, names } = entry.adapter.shown(entry.config, { name: metric, kind: type });
      return names.map((name) => ({ key: `${onAdminPage ? "" : to}\n${name}`, name, onAdminPage }));
    } catch (error) {
      return { fault: textOf(error) };
    }
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
