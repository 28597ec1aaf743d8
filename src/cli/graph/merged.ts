import { quantileOf } from "../../util/quantile.ts";
import { WeirError } from "../../util/weir-error.ts";

/** A service graph as the admin listener's `/graph` gives it; fields that are not needed here are left out. */
export interface HubGraph {
  readonly span_seconds: number;
  readonly latency_bounds_ms: readonly number[];
  readonly edges: readonly HubEdge[];
}

interface HubEdge {
  readonly source: Node;
  readonly destination: Node;
  readonly protocol: string;
  readonly requests: number;
  readonly errors: number;
  readonly rate: number;
  readonly latency_counts: readonly number[];
}

/** A workload or service. */
export interface Node {
  readonly name: string;
  readonly namespace: string;
}

/** An edge of the graph of all hubs that were asked. */
export interface Edge {
  readonly source: Node;
  readonly destination: Node;
  readonly protocol: string;
  /** Requests a second. */
  readonly rate: number;
  /** 0 to 1. */
  readonly errorShare: number;
  /** An estimate; `undefined` where no record said how long it took. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

/**
 * One graph of those that several hubs gathered: each hub sees the traffic of the proxies that report to it. The busiest
 * edge comes first. Throws WEIR_USAGE for answers of hubs of different versions, whose latencies cannot be added.
 */
export function mergeGraphs(graphs: readonly HubGraph[]): Edge[] {
  const bounds = graphs[0]?.latency_bounds_ms ?? [];
  if (graphs.some((graph) => JSON.stringify(graph.latency_bounds_ms) !== JSON.stringify(bounds)))
    throw new WeirError("WEIR_USAGE", "the hubs are of different versions: ask one of them at a time");
  const sums = new Map<string, { edge: HubEdge; requests: number; errors: number; rate: number; latency: number[] }>();
  for (const edge of graphs.flatMap(({ edges }) => edges)) {
    const key = JSON.stringify([
      edge.source.namespace,
      edge.source.name,
      edge.destination.namespace,
      edge.destination.name,
    ]);
    let sum = sums.get(key);
    if (sum === undefined)
      sums.set(key, (sum = { edge, requests: 0, errors: 0, rate: 0, latency: edge.latency_counts.map(() => 0) }));
    sum.requests += edge.requests;
    sum.errors += edge.errors;
    sum.rate += edge.rate;
    for (const [i, count] of edge.latency_counts.entries()) sum.latency[i]! += count;
  }
  return Array.from(sums.values(), ({ edge, requests, errors, rate, latency }): Edge => {
    const [p50Ms, p99Ms] = [quantileOf(0.5, latency, bounds), quantileOf(0.99, latency, bounds)];
    return {
      source: edge.source,
      destination: edge.destination,
      protocol: edge.protocol,
      rate,
      errorShare: requests === 0 ? 0 : errors / requests,
      ...(p50Ms === undefined || p99Ms === undefined ? {} : { p50Ms, p99Ms }),
    };
  }).sort((a, b) => b.rate - a.rate);
}
