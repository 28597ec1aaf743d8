import type { Span, SpanKind, SpanService } from "weir/sdk";
import { AttributeKeys, encodeResource, writeKnownAttribute } from "./encoding.ts";
import { MessageWriter } from "./message-writer.ts";
import type { OtlpConfig } from "./config.ts";

/** `SpanKind` of opentelemetry/proto/trace/v1/trace.proto. */
const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };

/** `STATUS_CODE_ERROR`. What did not fail has no status: whether all went well is for services to say, not for what saw them. */
const failed = 2;

/** The bytes beyond which a request gets no more spans: receivers take 4 MiB over gRPC. */
const maxBytes = 1024 * 1024;

/** Part of a batch, in one request. */
export interface SpansRequest {
  readonly message: Uint8Array;
  /** The index after that of the last span in it. */
  readonly end: number;
}

/** Writes spans, and remembers what stands in most of them: the resources of services, and the keys of attributes. */
export class SpanEncoder {
  readonly #configured: OtlpConfig["resource"];
  readonly #scope: Uint8Array;
  readonly #resources = new WeakMap<SpanService, Uint8Array>();
  readonly #keys = new AttributeKeys();

  /**
   * @param configured what the configuration says of who sends
   * @param scope an `InstrumentationScope`, whole
   */
  constructor(configured: OtlpConfig["resource"], scope: Uint8Array) {
    this.#configured = configured;
    this.#scope = scope;
  }

  /**
   * An `ExportTraceServiceRequest` (opentelemetry/proto/collector/trace/v1/trace_service.proto), from one span on and for as
   * many as have room. Spans of one service are put together, in the order in which they came.
   *
   * @param from the index of the first span
   */
  encode(spans: readonly Span[], from: number): SpansRequest {
    let end = from;
    // As many as fit are found first: spans of one service stand together, wherever they stand in the batch.
    let bytes = 0;
    for (; end < spans.length && (end === from || bytes < maxBytes); end++) bytes += sizeOf(spans[end]!);
    const byService = new Map<SpanService, Span[]>();
    for (let i = from; i < end; i++) {
      const span = spans[i]!;
      const same = byService.get(span.service);
      if (same === undefined) byService.set(span.service, [span]);
      else same.push(span);
    }
    const writer = new MessageWriter(bytes);
    for (const [service, same] of byService) {
      writer.begin(1, 2);
      writer.bytes(1, this.#resourceOf(service));
      writer.begin(2, 2);
      writer.bytes(1, this.#scope);
      for (const span of same) writeSpan(writer, this.#keys, span);
      writer.end();
      writer.end();
    }
    return { message: writer.finish(), end };
  }

  /** A `Resource`, whole. What the service is called wins over the configuration, which is about the hub. */
  #resourceOf(service: SpanService): Uint8Array {
    let encoded = this.#resources.get(service);
    if (encoded === undefined) {
      const { name, namespace, instance } = service;
      encoded = encodeResource({
        ...this.#configured,
        "service.name": name,
        ...(namespace !== undefined && { "service.namespace": namespace }),
        ...(instance !== undefined && { "service.instance.id": instance }),
      });
      this.#resources.set(service, encoded);
    }
    return encoded;
  }
}

/** About how many bytes a span takes, in the usual case more than it does. */
function sizeOf({ name, attributes }: Span): number {
  let size = 128 + name.length;
  for (const key in attributes) {
    const value = attributes[key]!;
    const length =
      typeof value === "string" ? value.length : typeof value === "object" ? JSON.stringify(value).length : 9;
    size += 8 + key.length + length;
  }
  return size;
}

/**
 * A `Span`: trace_id (1), span_id (2), trace_state (3), parent_span_id (4), name (5), kind (6), start_time_unix_nano (7),
 * end_time_unix_nano (8), attributes (9), and status (15) with message (2) and code (3).
 */
function writeSpan(writer: MessageWriter, keys: AttributeKeys, span: Span): void {
  const { parentId, traceState, kind, peer, attributes } = span;
  // Most are longer than 127 bytes.
  writer.begin(2, 2);
  writer.hex(1, span.traceId);
  writer.hex(2, span.spanId);
  if (traceState !== undefined) writer.string(3, traceState);
  if (parentId !== undefined) writer.hex(4, parentId);
  writer.string(5, span.name);
  writer.integer(6, kinds[kind]);
  writer.time(7, span.startMs);
  writer.time(8, span.endMs);
  for (const key in attributes) writeKnownAttribute(writer, 9, keys.of(key), attributes[key]!);
  if (peer?.name !== undefined && !("service.peer.name" in attributes))
    writeKnownAttribute(writer, 9, keys.of("service.peer.name"), peer.name);
  if (span.failed) {
    writer.begin(15);
    if (span.message !== undefined) writer.string(2, span.message);
    writer.integer(3, failed);
    writer.end();
  }
  writer.end();
}
