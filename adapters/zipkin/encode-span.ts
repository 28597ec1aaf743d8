import type { JsonValue, Span, SpanPeer } from "weir/sdk";

/** `kind` of Zipkin's model; a step within a service has none. */
const kinds: Readonly<Partial<Record<Span["kind"], string>>> = {
  server: "SERVER",
  client: "CLIENT",
  producer: "PRODUCER",
  consumer: "CONSUMER",
};

/** A span as Zipkin's API takes it, version 2, in JSON (https://zipkin.io/zipkin-api/#/default/post_spans). Times are whole microseconds. */
export function encodeSpan(span: Span): string {
  const startUs = Math.round(span.startMs * 1000);
  return JSON.stringify({
    // Zipkin takes a trace of 64 bits and one with zeros before it for two different ones.
    traceId: span.traceId.startsWith(zeros) ? span.traceId.slice(zeros.length) : span.traceId,
    id: span.spanId,
    parentId: span.parentId,
    kind: kinds[span.kind],
    name: span.name,
    timestamp: startUs,
    // No duration says that the span has not ended: one that took no time took one microsecond.
    duration: Math.max(1, Math.round(span.endMs * 1000) - startUs),
    localEndpoint: { serviceName: span.service.name },
    remoteEndpoint: endpointOf(span.peer),
    tags: tagsOf(span),
  });
}

const zeros = "0".repeat(16);

function endpointOf(peer: SpanPeer | undefined): object | undefined {
  if (peer === undefined || (peer.name === undefined && peer.ip === undefined)) return undefined;
  const { name, ip, port } = peer;
  return {
    serviceName: name,
    ...(ip !== undefined && (ip.includes(":") ? { ipv6: ip } : { ipv4: ip })),
    port,
  };
}

/** Tags are texts. `error` says that a span failed, and why. */
function tagsOf({ attributes, service, failed, message }: Span): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const name in attributes) tags[name] = textOf(attributes[name]!);
  if (service.namespace !== undefined) tags["service.namespace"] = service.namespace;
  if (service.instance !== undefined) tags["service.instance.id"] = service.instance;
  if (failed) tags["error"] = message ?? tags["error.type"] ?? "true";
  else delete tags["error"];
  return tags;
}

function textOf(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
