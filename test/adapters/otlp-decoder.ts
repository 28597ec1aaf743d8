/**
 * The protocol's own decoder: what protobufjs generates of opentelemetry-proto, as OpenTelemetry publishes it. Integers of 64
 * bits become numbers where they are safe, else texts.
 */
import { createRequire } from "node:module";

interface MessageType {
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): unknown;
  encode(message: object): { finish(): Uint8Array };
}

interface Root {
  readonly opentelemetry: {
    readonly proto: {
      readonly collector: {
        readonly metrics: { readonly v1: Readonly<Record<string, MessageType>> };
        readonly logs: { readonly v1: Readonly<Record<string, MessageType>> };
        readonly trace: { readonly v1: Readonly<Record<string, MessageType>> };
      };
    };
  };
}

const require = createRequire(import.meta.url);
const root = require("@opentelemetry/otlp-transformer/build/src/generated/root.js") as Root;
const { metrics, logs, trace } = root.opentelemetry.proto.collector;

/** An `AnyValue` as it is on the wire. */
export interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] };
}

export interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}

export interface Point {
  readonly attributes?: readonly KeyValue[];
  readonly startTimeUnixNano?: string;
  readonly timeUnixNano?: string;
  readonly asDouble?: number;
  readonly count?: string;
  readonly sum?: number;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly number[];
  readonly exemplars?: readonly {
    readonly timeUnixNano: string;
    readonly asDouble: number;
    readonly spanId: Uint8Array;
    readonly traceId: Uint8Array;
  }[];
}

interface Points {
  readonly dataPoints: readonly Point[];
  readonly aggregationTemporality?: number;
  readonly isMonotonic?: boolean;
}

export interface Metric {
  readonly name: string;
  readonly description?: string;
  readonly gauge?: Points;
  readonly sum?: Points;
  readonly histogram?: Points;
}

export interface LogRecord {
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body?: AnyValue;
  readonly attributes?: readonly KeyValue[];
  readonly eventName?: string;
}

/** Identifiers are in hexadecimal. */
export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

export interface TracesRequest {
  readonly resourceSpans: readonly (Sender & {
    readonly scopeSpans: readonly (Scope & { readonly spans?: readonly SentSpan[] })[];
  })[];
}

interface Sender {
  readonly resource: { readonly attributes?: readonly KeyValue[] };
}

interface Scope {
  readonly scope: { readonly name: string };
}

export interface MetricsRequest {
  readonly resourceMetrics: readonly (Sender & {
    readonly scopeMetrics: readonly (Scope & { readonly metrics?: readonly Metric[] })[];
  })[];
}

export interface LogsRequest {
  readonly resourceLogs: readonly (Sender & {
    readonly scopeLogs: readonly (Scope & { readonly logRecords?: readonly LogRecord[] })[];
  })[];
}

/** Integers of 64 bits as text, and nothing that was not on the wire. */
const asSent = { longs: String, defaults: false };

export function decodeMetrics(bytes: Uint8Array): MetricsRequest {
  const type = metrics.v1["ExportMetricsServiceRequest"]!;
  return type.toObject(type.decode(bytes), asSent) as MetricsRequest;
}

export function decodeLogs(bytes: Uint8Array): LogsRequest {
  const type = logs.v1["ExportLogsServiceRequest"]!;
  return type.toObject(type.decode(bytes), asSent) as LogsRequest;
}

export function decodeTraces(bytes: Uint8Array): TracesRequest {
  const type = trace.v1["ExportTraceServiceRequest"]!;
  const request = type.toObject(type.decode(bytes), asSent) as TracesRequest;
  const hex = (id: unknown): string => Buffer.from(id as Uint8Array).toString("hex");
  const shown = (span: SentSpan): SentSpan => ({
    ...span,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    ...(span.parentSpanId !== undefined && { parentSpanId: hex(span.parentSpanId) }),
  });
  return {
    resourceSpans: (request.resourceSpans ?? []).map(({ scopeSpans, ...rest }) => ({
      ...rest,
      scopeSpans: scopeSpans.map(({ spans, ...scope }) => ({ ...scope, spans: (spans ?? []).map(shown) })),
    })),
  };
}

/** An answer that says that so many records or points were rejected. */
export function partialSuccess(
  signalName: "metrics" | "logs" | "traces",
  rejected: number,
  errorMessage: string,
): Uint8Array {
  if (signalName === "metrics") {
    const partial = { rejectedDataPoints: rejected, errorMessage };
    return metrics.v1["ExportMetricsServiceResponse"]!.encode({ partialSuccess: partial }).finish();
  }
  if (signalName === "logs") {
    const partial = { rejectedLogRecords: rejected, errorMessage };
    return logs.v1["ExportLogsServiceResponse"]!.encode({ partialSuccess: partial }).finish();
  }
  const partial = { rejectedSpans: rejected, errorMessage };
  return trace.v1["ExportTraceServiceResponse"]!.encode({ partialSuccess: partial }).finish();
}

/** The value as JSON has it. */
export function plain(value: AnyValue | undefined): unknown {
  if (value === undefined) return null;
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plain);
  if (value.kvlistValue !== undefined) return attributes(value.kvlistValue.values);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null;
}

export function attributes(list: readonly KeyValue[] | undefined): Record<string, unknown> {
  return Object.fromEntries((list ?? []).map(({ key, value }) => [key, plain(value)]));
}
