import type { Layout } from "../attributes/layout.ts";
import { traceHeaders } from "../attributes/trace-context.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import type { AttributeUse } from "../expression/expression.ts";

/** The attributes that a span is made of by itself. All are of the built-in vocabulary. */
export const spanFacts = [
  "api.operation",
  "check.decision_id",
  "connection.duration",
  "connection.event",
  "context.protocol",
  "context.proxy_error_code",
  "context.reporter.kind",
  "context.reporter.local",
  "context.time",
  "destination.ip",
  "destination.name",
  "destination.port",
  "destination.service.host",
  "destination.service.name",
  "destination.service.namespace",
  "destination.workload.name",
  "destination.workload.namespace",
  "origin.ip",
  "request.id",
  "request.method",
  "request.protocol",
  "request.scheme",
  "request.size",
  "request.time",
  "request.url_path",
  "request.useragent",
  "response.code",
  "response.duration",
  "response.grpc_message",
  "response.grpc_status",
  "response.size",
  "response.time",
  "source.ip",
  "source.name",
  "source.port",
  "source.workload.name",
  "source.workload.namespace",
  "upstream.ip",
  "upstream.port",
] as const;

export type SpanFact = (typeof spanFacts)[number];

/** What a rule that makes spans reads beside its expressions. Each may be absent. */
export const spanUses: readonly AttributeUse[] = [
  ...spanFacts.map((name) => ({ name, guarded: true })),
  ...traceHeaders.map((key) => ({ name: "request.headers", key, guarded: true })),
];

/** Sees to it that doors decode what a span is made of. */
export function declareSpanFacts(layout: Layout, vocabulary: Vocabulary): void {
  for (const name of spanFacts) layout.declare(name, vocabulary.get(name)!.type);
  declareTraceHeaders(layout);
}

/** Sees to it that doors decode the headers that a trace context may come in. */
export function declareTraceHeaders(layout: Layout): void {
  for (const header of traceHeaders) layout.declareKey("request.headers", header);
}
