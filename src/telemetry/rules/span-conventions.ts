import { refusalCodes, type JsonValue, type SpanKind, type SpanPeer } from "../../sdk/index.ts";
import type { RequestFacts } from "./request-facts.ts";

/** How a request ended, by OpenTelemetry's semantic conventions for HTTP, RPC and the recording of errors. */
export interface Ending {
  readonly failed: boolean;
  /** `error.type`: a status, or what the proxy says went wrong. */
  readonly type?: string;
  readonly message?: string;
}

const grpcCodeNames = new Map<number, string>([
  [0, "OK"],
  ...Object.entries(refusalCodes).map(([name, code]): [number, string] => [code, name.toUpperCase()]),
]);

/** The codes by which a server says that it failed, and not its caller (semantic conventions for gRPC). */
const grpcServerFailures: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

export function isServer(kind: SpanKind): boolean {
  return kind === "server" || kind === "consumer";
}

/** How the request ended, as the side of the span's kind sees it. */
export function endingOf(facts: RequestFacts, kind: SpanKind): Ending {
  const flags = flagsOf(facts);
  const status = grpcStatusOf(facts);
  if (status !== undefined) {
    const failed = isServer(kind) ? grpcServerFailures.has(status) : status !== "OK";
    const message = facts.text("response.grpc_message");
    return failed ? { failed, type: status, ...(message !== undefined && { message }) } : { failed };
  }
  const code = facts.number("response.code");
  if (code !== undefined && code > 0) {
    const failed = code >= 500 || (code >= 400 && !isServer(kind));
    return failed ? { failed, type: String(code), ...(flags !== undefined && { message: flags }) } : { failed };
  }
  return flags === undefined ? { failed: false } : { failed: true, type: flags, message: flags };
}

/** The flags of the proxy for what went wrong. */
function flagsOf(facts: RequestFacts): string | undefined {
  const flags = facts.text("context.proxy_error_code");
  return flags === "-" ? undefined : flags;
}

/** The name of the gRPC status that the response has; `undefined` for a request that is not one of gRPC. */
function grpcStatusOf(facts: RequestFacts): string | undefined {
  if (!facts.is("context.protocol", "grpc")) return undefined;
  const status = facts.text("response.grpc_status");
  return status === undefined ? undefined : (grpcCodeNames.get(Number(status)) ?? status.toUpperCase());
}

/** What names a span that no rule names. */
export function operationOf(facts: RequestFacts): string | undefined {
  const operation = facts.text("api.operation");
  if (operation !== undefined) return operation;
  if (facts.is("context.protocol", "tcp")) return "tcp";
  return facts.is("context.protocol", "grpc") ? grpcMethodOf(facts) : facts.text("request.method");
}

/** The method of a gRPC call, `package.Service/Method`. */
function grpcMethodOf(facts: RequestFacts): string | undefined {
  return facts.text("request.url_path")?.replace(/^\//, "");
}

/** The other side, as the span's side sees it. */
export function peerOf(facts: RequestFacts, kind: SpanKind): SpanPeer {
  return isServer(kind)
    ? peer(facts.text("source.workload.name"), facts.ip("source.ip"), facts.number("source.port"))
    : peer(
        facts.text("destination.workload.name") ?? facts.text("destination.service.name"),
        facts.ip("upstream.ip") ?? facts.ip("destination.ip"),
        facts.number("upstream.port") ?? facts.number("destination.port"),
      );
}

function peer(name: string | undefined, ip: string | undefined, port: number | undefined): SpanPeer {
  const known: { -readonly [K in keyof SpanPeer]: SpanPeer[K] } = {};
  // Spread objects with one key each would cost more than all the rest of a peer.
  if (name !== undefined) known.name = name;
  if (ip !== undefined) known.ip = ip;
  if (port !== undefined) known.port = port;
  return known;
}

/**
 * What the conventions say of a request (HTTP and network attributes of 1.23 and later, RPC attributes of 1.38), and
 * `weir.decision_id`, which leads to the decision that let it pass. The query of the path is left out: it may hold what
 * should not be kept.
 */
export function conventionalAttributes(
  facts: RequestFacts,
  kind: SpanKind,
  { type }: Ending,
  { ip, port }: SpanPeer,
): Record<string, JsonValue> {
  const attributes: Record<string, JsonValue> = {};
  const set = (name: string, value: JsonValue | undefined): void => {
    if (value !== undefined) attributes[name] = value;
  };
  if (facts.is("context.protocol", "tcp")) set("network.transport", "tcp");
  else if (facts.is("context.protocol", "grpc")) {
    set("rpc.system.name", "grpc");
    set("rpc.method", grpcMethodOf(facts));
    set("rpc.response.status_code", grpcStatusOf(facts));
  } else {
    set("http.request.method", facts.text("request.method"));
    set("url.scheme", facts.text("request.scheme"));
    set("url.path", facts.text("request.url_path"));
    set("http.response.status_code", facts.number("response.code"));
  }
  const protocol = facts.text("request.protocol");
  if (protocol?.startsWith("HTTP/") === true) {
    set("network.protocol.name", "http");
    set("network.protocol.version", protocol === "HTTP/2.0" ? "2" : protocol.slice(5));
  }
  set("server.address", facts.text("destination.service.host"));
  set("server.port", facts.number("destination.port"));
  if (isServer(kind)) set("client.address", facts.ip("origin.ip") ?? facts.ip("source.ip"));
  set("network.peer.address", ip);
  set("network.peer.port", port);
  set("user_agent.original", facts.text("request.useragent"));
  set("http.request.body.size", facts.number("request.size"));
  set("http.response.body.size", facts.number("response.size"));
  set("error.type", type);
  set("weir.request_id", facts.text("request.id"));
  set("weir.response_flags", flagsOf(facts));
  set("weir.decision_id", facts.text("check.decision_id"));
  return attributes;
}
