import type { Registry } from "prom-client";
import type { Cell } from "./cells.ts";
import type { ExposedMetric, ExposedSample } from "./exposition-text.ts";
import { hubMetricNames, latencyBounds, type HubMetric, type HubMetricName } from "./names.ts";
import { Latency } from "./latency.ts";

/** A metric as prom-client's registry wants one: asked for its samples when somebody scrapes. */
export class Published {
  readonly name: HubMetricName;
  readonly help: string;
  readonly type: HubMetric["type"];
  readonly aggregator = "sum";
  readonly #labels: readonly string[];
  readonly #cells: () => readonly Cell[];

  constructor(name: HubMetricName, cells: () => readonly Cell[]) {
    const { help, type, labels }: HubMetric = hubMetricNames[name];
    this.name = name;
    this.help = help;
    this.type = type;
    this.#labels = labels;
    this.#cells = cells;
  }

  async get(): Promise<ExposedMetric & { readonly aggregator: string }> {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.samples()] };
  }

  /** Its samples as they are when they are taken; those of one histogram are taken at once. */
  *samples(): Generator<ExposedSample> {
    for (const cell of this.#cells()) {
      const labels = Object.fromEntries(this.#labels.map((label, i) => [label, cell.labels[i]!]));
      if (cell instanceof Latency) yield* this.#histogram(cell, labels);
      else yield { labels, value: cell.value };
    }
  }

  #histogram(latency: Latency, labels: Record<string, string>): readonly ExposedSample[] {
    let count = 0;
    const buckets = [...latencyBounds, Infinity].map((le, i) => {
      count += latency.counts[i]!;
      return { metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: latency.value },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }

  /** The registry may be reset by whoever embeds it; counters of ours only grow. */
  reset(): void {}
}

/** The metrics of a registry, one after the other; those of ours without a list of all samples. */
export async function* exposed(registry: Registry): AsyncGenerator<ExposedMetric> {
  const metrics = registry.getMetricsAsArray() as unknown as readonly { get(): Promise<ExposedMetric> }[];
  for (const metric of metrics) {
    if (metric instanceof Published) yield { ...metric, values: metric.samples() };
    else yield await metric.get();
  }
}
