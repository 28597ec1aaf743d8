import type { JsonValue } from "./log.ts";

/** Which part a service has in what a span tells of (OpenTelemetry, "SpanKind"). */
export const spanKinds = ["server", "client", "internal", "producer", "consumer"] as const;

export type SpanKind = (typeof spanKinds)[number];

/** The service that a span was seen at. Spans of one service share one object where the hub knows them to. */
export interface SpanService {
  readonly name: string;
  readonly namespace?: string;
  /** Which of its instances, such as the name of a pod. */
  readonly instance?: string;
}

/** The other side of a request. What is not known is left out. */
export interface SpanPeer {
  readonly name?: string;
  /** IPv4 or IPv6 as text. */
  readonly ip?: string;
  readonly port?: number;
}

/** One piece of work of a trace: a request as one side saw it, or a step of the hub's own. */
export interface Span {
  /** 32 hexadecimal digits in lower case, not all of them 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits in lower case, not all of them 0. */
  readonly spanId: string;
  /** The span above it, as `spanId`. Left out: it begins its trace. */
  readonly parentId?: string;
  /** The list of vendors' data that came with the trace context (W3C Trace Context, `tracestate`). */
  readonly traceState?: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since 1970, with a fraction. */
  readonly startMs: number;
  /** Not before `startMs`. */
  readonly endMs: number;
  /** Whether it failed. */
  readonly failed: boolean;
  /** What went wrong, where more is known of it. */
  readonly message?: string;
  readonly service: SpanService;
  readonly peer?: SpanPeer;
  /** What is known of it, by the names of OpenTelemetry's semantic conventions where there is one. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
}
