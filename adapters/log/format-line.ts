import type { LogEntry, Span } from "weir/sdk";

/** `{"time", "severity", "log"}`, the `id` of an entry that has one, and the fields, on one line. A field of one of these names stands in place of it. */
export function formatEntry({ name, timeMs, severity, fields, id }: LogEntry): string {
  return `${JSON.stringify({ time: timeText(timeMs), severity, log: name, ...(id === undefined ? {} : { id }), ...fields })}\n`;
}

/** A span on one line, under the names that OpenTelemetry's logs have for identifiers. What it has not is left out. */
export function formatSpan(span: Span): string {
  const { traceId, spanId, parentId, traceState, name, kind, startMs, endMs, failed, message, service } = span;
  return `${JSON.stringify({
    time: timeText(startMs),
    span: name,
    trace_id: traceId,
    span_id: spanId,
    parent_id: parentId,
    trace_state: traceState,
    kind,
    duration_ms: Math.round((endMs - startMs) * 1000) / 1000,
    failed,
    message,
    service,
    peer: span.peer !== undefined && Object.keys(span.peer).length > 0 ? span.peer : undefined,
    attributes: span.attributes,
  })}\n`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
