import type { Bag } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import type { Layout } from "../../attributes/layout.ts";
import type { graphAttributes } from "../../policy/graph-attributes.ts";
import type { Observer } from "../../util/observer.ts";
import { ownText } from "../../util/own-texts.ts";
import { latencyBoundsMs, Traffic, type TrafficSum, windowSteps } from "./traffic.ts";

/** A workload, or a service where the records do not say which workload serves it. */
export interface GraphNode {
  /** `unknown` where no record says. */
  readonly name: string;
  /** Empty where no record says. */
  readonly namespace: string;
}

/** What went from one workload to another within the window. */
export interface GraphEdge extends TrafficSum {
  readonly source: GraphNode;
  readonly destination: GraphNode;
  /** `http`, `grpc`, `tcp`, as the last record had it. */
  readonly protocol: string;
}

/** The graph as it is at one moment. */
export interface GraphView {
  /** Over how long the requests were counted, in milliseconds: the window, or less while the hub is young. */
  readonly spanMs: number;
  /** Upper bounds of the buckets of {@link GraphEdge.latency}. */
  readonly latencyBoundsMs: readonly number[];
  /** Edges over which something went, the busiest first. */
  readonly edges: readonly GraphEdge[];
}

export interface ServiceGraphOptions {
  readonly windowMs: number;
  /** Edges beyond which records of new ones are not counted here. */
  readonly maxEdges: number;
  readonly observer: Pick<Observer, "dropped">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** Who calls whom, gathered from reports. It lives over reloads. */
export interface ServiceGraph {
  /** What counts the records of one layout, where that has the slots of the graph's attributes. */
  recorder(layout: Layout): (bag: Bag) => void;
  view(): GraphView;
}

interface Edge {
  readonly source: GraphNode;
  readonly destination: GraphNode;
  protocol: string;
  /** What the proxies at the caller's side reported. */
  outbound?: Traffic;
  /** What those at the server's side reported. */
  inbound?: Traffic;
}

type Ends = Map<string, Map<string, Map<string, Map<string, Edge>>>>;

/**
 * Records a second that are all looked at. Of more a share is, down to one in `maxStride`, drawn by lot, and counts for
 * all; when they become few again, no more than twice `maxStride` are passed over before that is seen.
 */
const allPerSecond = 2000;
const maxStride = 16;
/** After how many records that were looked at the rate is taken anew, or after a second. */
const perRate = 256;

/** The longest name that is kept whole: a DNS name's 253 characters (RFC 1035). */
const maxName = 253;

/**
 * The status codes of gRPC that are a fault of the server's, as OpenTelemetry's semantic conventions for gRPC list them:
 * UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
 */
const grpcFaults: ReadonlySet<string> = new Set(["2", "4", "12", "13", "14", "15"]);

/**
 * Makes a graph. A request is reported by the proxies of both sides where both have one: each edge counts the two apart,
 * and shows the server's side where that reports at all.
 */
export function createServiceGraph(options: ServiceGraphOptions): ServiceGraph {
  const { windowMs, maxEdges, observer, now, random } = options;
  const startedMs = now();
  const stepMs = windowMs / windowSteps;
  const ends: Ends = new Map();
  let size = 0;
  let sweptAt = -1;
  let last: Edge | undefined;
  /** Of how many records one is looked at, how many are passed over until the next, and when the rate was last taken. */
  let stride = 1;
  let left = 0;
  let looked = 0;
  let sinceMs = startedMs;

  /** The edge between two workloads; `undefined` when there is no room for a new one. */
  function edgeOf(fromSpace: string, from: string, toSpace: string, to: string, step: number): Edge | undefined {
    const edge = last;
    if (edge !== undefined && isBetween(edge, fromSpace, from, toSpace, to)) return edge;
    const known = ends.get(fromSpace)?.get(from)?.get(toSpace)?.get(to);
    return (last = known ?? add(fromSpace, from, toSpace, to, step));
  }

  function add(fromSpace: string, from: string, toSpace: string, to: string, step: number): Edge | undefined {
    if (size >= maxEdges && sweptAt !== step) sweep(step);
    if (size >= maxEdges) {
      observer.dropped("graph_edge", "full", 1);
      return undefined;
    }
    size++;
    // A name that was cut would hold all that it was cut from.
    const [source, destination] = ownText([
      { name: from, namespace: fromSpace },
      { name: to, namespace: toSpace },
    ] as const);
    const edge: Edge = { source, destination, protocol: "" };
    const names = below(below(below(ends, source.namespace), source.name), destination.namespace);
    names.set(destination.name, edge);
    return edge;
  }

  /** Lets go of the edges over which nothing went in the window. */
  function sweep(step: number): void {
    sweptAt = step;
    last = undefined;
    const busy = [...edges()].filter((edge) => lastStep(edge) > step - windowSteps);
    ends.clear();
    size = busy.length;
    for (const edge of busy) {
      const { source, destination } = edge;
      below(below(below(ends, source.namespace), source.name), destination.namespace).set(destination.name, edge);
    }
  }

  function* edges(): Generator<Edge> {
    for (const froms of ends.values())
      for (const spaces of froms.values()) for (const tos of spaces.values()) yield* tos.values();
  }

  return {
    recorder(layout) {
      const slot = (name: keyof typeof graphAttributes): number => layout.find(name)!;
      const sourceName = [slot("source.workload.name"), slot("source.serviceAccount")];
      const sourceSpace = [slot("source.workload.namespace"), slot("source.namespace")];
      const name = [
        slot("destination.workload.name"),
        slot("destination.service.name"),
        slot("destination.service.host"),
      ];
      const space = [slot("destination.workload.namespace"), slot("destination.service.namespace")];
      const reporter = slot("context.reporter.kind");
      const protocol = slot("context.protocol");
      const event = slot("connection.event");
      const isFailure = failureOf(slot);
      const times = { http: slot("response.duration"), tcp: slot("connection.duration") };
      return (bag) => {
        if (left > 0) {
          left--;
          return;
        }
        const nowMs = now();
        const weight = stride;
        if (++looked >= perRate || nowMs - sinceMs >= 1000) {
          const perSecond = (looked * stride * 1000) / Math.max(1, nowMs - sinceMs);
          stride = Math.min(maxStride, Math.max(1, Math.ceil(perSecond / allPerSecond)));
          looked = 0;
          sinceMs = nowMs;
        }
        // By lot, so that records that come in a fixed order are not passed over for ever.
        left = stride === 1 ? 0 : Math.floor(random() * (2 * stride - 1));
        const spoken = bag.peek(protocol);
        const isTcp = spoken === "tcp";
        // A connection counts once, when it ends.
        if (isTcp && bag.peek(event) !== "close") return;
        const from = textOf(bag, sourceName, "unknown");
        const to = textOf(bag, name, "unknown");
        if (from === "unknown" && to === "unknown") return;
        const step = Math.floor(nowMs / stepMs);
        const edge = edgeOf(textOf(bag, sourceSpace, ""), from, textOf(bag, space, ""), to, step);
        if (edge === undefined) return;
        if (typeof spoken === "string" && edge.protocol !== spoken) edge.protocol = ownText(spoken.slice(0, 16));
        const took = bag.peek(isTcp ? times.tcp : times.http);
        const ms = took instanceof Duration ? took.ms : NaN;
        const traffic =
          bag.peek(reporter) === "outbound" ? (edge.outbound ??= new Traffic()) : (edge.inbound ??= new Traffic());
        traffic.count(weight, step, isFailure(bag, isTcp), ms);
      };
    },

    view() {
      const nowMs = now();
      const step = Math.floor(nowMs / stepMs);
      const shown: GraphEdge[] = [];
      for (const { source, destination, protocol, inbound, outbound } of edges()) {
        const sums = [inbound, outbound].map((traffic) => traffic?.sum(step));
        const sum = sums.find((each) => each !== undefined && each.requests > 0);
        if (sum !== undefined) shown.push({ source, destination, protocol, ...sum });
      }
      const beganMs = Math.max(startedMs, (step - windowSteps + 1) * stepMs);
      return {
        spanMs: Math.max(1, nowMs - beganMs),
        latencyBoundsMs,
        edges: shown.sort((a, b) => b.requests - a.requests),
      };
    },
  };
}

/** Whether a request failed by the server's fault: 5xx, a gRPC status like it, or a TCP connection with a flag. */
function failureOf(slot: (name: keyof typeof graphAttributes) => number): (bag: Bag, isTcp: boolean) => boolean {
  const [code, status, flags] = [slot("response.code"), slot("response.grpc_status"), slot("context.proxy_error_code")];
  return (bag, isTcp) => {
    if (isTcp) {
      const flag = bag.peek(flags);
      return typeof flag === "string" && flag !== "-" && flag !== "";
    }
    const held = bag.peek(code);
    if (typeof held === "number" && held >= 500) return true;
    const grpc = bag.peek(status);
    return typeof grpc === "string" && grpcFaults.has(grpc);
  };
}

/** The first of some attributes that is there. */
function textOf(bag: Bag, slots: readonly number[], otherwise: string): string {
  for (let i = 0; i < slots.length; i++) {
    const value = bag.peek(slots[i]!);
    if (typeof value === "string" && value !== "") return value.length > maxName ? value.slice(0, maxName) : value;
  }
  return otherwise;
}

function isBetween(
  { source, destination }: Edge,
  fromSpace: string,
  from: string,
  toSpace: string,
  to: string,
): boolean {
  return (
    destination.name === to &&
    source.name === from &&
    destination.namespace === toSpace &&
    source.namespace === fromSpace
  );
}

function lastStep({ inbound, outbound }: Edge): number {
  return Math.max(inbound?.lastStep ?? -1, outbound?.lastStep ?? -1);
}

function below<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let inner = map.get(key);
  if (inner === undefined) map.set(key, (inner = new Map()));
  return inner;
}
