import type { GraphEdge, GraphView } from "../telemetry/graph/service-graph.ts";
import { quantileOf } from "../util/quantile.ts";

/** The service graph as `/graph` shows it: what was counted, and what follows from it. Rates are a second's. */
export function describeGraph({ spanMs, latencyBoundsMs, edges }: GraphView): object {
  return {
    span_seconds: spanMs / 1000,
    latency_bounds_ms: latencyBoundsMs,
    edges: edges.map((edge) => describeEdge(edge, spanMs, latencyBoundsMs)),
  };
}

function describeEdge(edge: GraphEdge, spanMs: number, bounds: readonly number[]): object {
  const { source, destination, protocol, requests, errors, latency } = edge;
  const quantile = (q: number): number | null => rounded(quantileOf(q, latency, bounds) ?? null);
  return {
    source,
    destination,
    protocol,
    requests,
    errors,
    rate: rounded((requests * 1000) / spanMs),
    error_share: rounded(errors / requests),
    latency_ms: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) },
    latency_counts: latency,
  };
}

function rounded<N extends number | null>(value: N): N {
  return value === null ? value : (Number(value.toPrecision(4)) as N);
}
