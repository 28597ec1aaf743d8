import type { LogEntry } from "weir/sdk";
import { writeAttribute, writeValue } from "./encoding.ts";
import { MessageWriter } from "./message-writer.ts";

/** `SeverityNumber` of opentelemetry/proto/logs/v1/logs.proto. */
const severityNumbers: Readonly<Record<LogEntry["severity"], number>> = { debug: 5, info: 9, warning: 13, error: 17 };

/** The bytes beyond which a request gets no more records: receivers take 4 MiB over gRPC. */
const maxBytes = 1024 * 1024;

/** Part of a batch, in one request. */
export interface LogsRequest {
  readonly message: Uint8Array;
  /** The index after that of the last entry in it. */
  readonly end: number;
}

/**
 * An `ExportLogsServiceRequest` (opentelemetry/proto/collector/logs/v1/logs_service.proto) with one record an entry, in
 * order, from one entry on and for as many as have room. The log's name is the record's event name, and its body too, for receivers that show nothing else.
 *
 * @param from the index of the first entry
 * @param resource a `Resource`, whole
 * @param scope an `InstrumentationScope`, whole
 */
export function encodeLogs(
  entries: readonly LogEntry[],
  from: number,
  resource: Uint8Array,
  scope: Uint8Array,
): LogsRequest {
  const writer = new MessageWriter(256 * (entries.length - from));
  writer.begin(1);
  writer.bytes(1, resource);
  writer.begin(2);
  writer.bytes(1, scope);
  let end = from;
  while (end < entries.length && writer.length < maxBytes) writeRecord(writer, entries[end++]!);
  writer.end();
  writer.end();
  return { message: writer.finish(), end };
}

/**
 * A `LogRecord`: time_unix_nano (1), severity_number (2), severity_text (3), body (5), attributes (6),
 * observed_time_unix_nano (11) and event_name (12).
 */
function writeRecord(writer: MessageWriter, { name, timeMs, severity, fields, id }: LogEntry): void {
  writer.begin(2);
  writer.time(1, timeMs);
  writer.integer(2, severityNumbers[severity]);
  writer.string(3, severity);
  writeValue(writer, 5, name);
  for (const key in fields) writeAttribute(writer, 6, key, fields[key]!);
  // By the semantic conventions, records of one such id are one record.
  if (id !== undefined) writeAttribute(writer, 6, "log.record.uid", id);
  writer.time(11, timeMs);
  writer.string(12, name);
  writer.end();
}
