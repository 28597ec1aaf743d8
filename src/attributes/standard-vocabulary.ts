import type { AttributeType } from "./value.ts";
import type { Attribute, Phase, Vocabulary } from "./vocabulary.ts";

/**
 * The words that proxies of the Istio family send (its attribute manifests `istio-proxy` and `kubernetes`, and what its
 * sidecars send beyond them), and the words that the other doors add. `docs/attributes.md` shows the same table.
 *
 * A word is marked `report` when at least the proxies of that family know it only after the request.
 */
const words: readonly (readonly [name: string, type: AttributeType, known: Phase, description: string])[] = [
  ["source.ip", "ip", "check", "Address of the client, as the proxy sees its peer."],
  ["source.port", "int64", "check", "TCP port of the client."],
  ["source.name", "string", "check", "Name of the client's workload instance, such as a pod."],
  ["source.uid", "string", "check", "Identifier of the client's workload instance, unique over the mesh."],
  ["source.namespace", "string", "check", "Namespace of the client's workload instance."],
  ["source.principal", "string", "check", "Identity that the client proved, as its certificate has it."],
  ["source.user", "string", "check", "Older name of `source.principal`."],
  ["source.labels", "string_map", "check", "Labels of the client's workload instance."],
  ["source.metadata", "string_map", "check", "Further facts about the client's workload instance."],
  ["source.owner", "string", "check", "Path of the object that controls the client's workload instance."],
  ["source.serviceAccount", "string", "check", "Service account that the client's workload runs as."],
  ["source.services", "string", "check", "Services that the client's workload belongs to, separated by commas."],
  ["source.workload.uid", "string", "check", "Identifier of the client's workload, unique over the mesh."],
  ["source.workload.name", "string", "check", "Name of the client's workload."],
  ["source.workload.namespace", "string", "check", "Namespace of the client's workload."],

  ["destination.ip", "ip", "check", "Address of the server that the request goes to."],
  ["destination.port", "int64", "check", "TCP port of the server."],
  ["destination.name", "string", "check", "Name of the server's workload instance, such as a pod."],
  ["destination.uid", "string", "check", "Identifier of the server's workload instance, unique over the mesh."],
  ["destination.namespace", "string", "check", "Namespace of the server's workload instance."],
  ["destination.principal", "string", "check", "Identity that the server proved, as its certificate has it."],
  ["destination.labels", "string_map", "check", "Labels of the server's workload instance."],
  ["destination.metadata", "string_map", "check", "Further facts about the server's workload instance."],
  ["destination.owner", "string", "check", "Path of the object that controls the server's workload instance."],
  ["destination.serviceAccount", "string", "check", "Service account that the server's workload runs as."],
  ["destination.workload.uid", "string", "check", "Identifier of the server's workload, unique over the mesh."],
  ["destination.workload.name", "string", "check", "Name of the server's workload."],
  ["destination.workload.namespace", "string", "check", "Namespace of the server's workload."],
  ["destination.container.name", "string", "check", "Name of the container that serves."],
  ["destination.container.image", "string", "check", "Image of the container that serves."],
  ["destination.service.uid", "string", "check", "Identifier of the service that is called, unique over the mesh."],
  ["destination.service.host", "string", "check", "Host name by which the service is called, fully qualified."],
  ["destination.service.name", "string", "check", "Name of the service that is called."],
  ["destination.service.namespace", "string", "check", "Namespace of the service that is called."],
  ["destination.mesh.id", "string", "check", "Identifier of the mesh that the server belongs to."],

  ["origin.ip", "ip", "check", "Address of the first caller, where a proxy on the way vouches for it."],
  ["origin.uid", "string", "check", "Identifier of the first caller's workload instance."],
  ["origin.user", "string", "check", "Identity of the first caller."],

  ["request.headers", "string_map", "check", "Headers of the request, names in lower case."],
  ["request.id", "string", "check", "Identifier of the request, as the proxy gave it."],
  ["request.host", "string", "check", "Host that the request names, with its port if it names one."],
  ["request.method", "string", "check", "HTTP method."],
  ["request.path", "string", "check", "Path with its query, as received."],
  ["request.url_path", "string", "check", "Path without its query, normalised."],
  ["request.query_params", "string_map", "check", "Parameters of the query, decoded; the first value of each name."],
  ["request.scheme", "string", "check", "`http` or `https`."],
  ["request.referer", "string", "check", "The `referer` header."],
  ["request.useragent", "string", "check", "The `user-agent` header."],
  ["request.reason", "string", "check", "Why the request is made, where an auditing system asks for it."],
  ["request.time", "timestamp", "check", "When the proxy received the request."],
  ["request.api_key", "string", "check", "API key that came with the request."],
  ["request.auth.principal", "string", "check", "Issuer and subject of the verified token, joined by `/`."],
  ["request.auth.audiences", "string", "check", "Audiences of the verified token."],
  ["request.auth.presenter", "string", "check", "Authorised party of the verified token."],
  ["request.auth.claims", "string_map", "check", "Claims of the verified token that are text."],
  ["request.auth.raw_claims", "string", "check", "All claims of the verified token, as JSON."],
  ["request.size", "int64", "report", "Bytes of the request's body."],
  ["request.total_size", "int64", "report", "Bytes of the request with its headers and trailers."],

  ["api.service", "string", "check", "Public name of the API that is called."],
  ["api.version", "string", "check", "Version of the API."],
  ["api.operation", "string", "check", "Operation of the API."],
  ["api.protocol", "string", "check", "How the API is spoken: `http`, `https`, `grpc`."],

  ["connection.id", "string", "check", "Identifier of a TCP connection."],
  ["connection.mtls", "bool", "check", "Whether both sides proved who they are."],
  ["connection.requested_server_name", "string", "check", "Server name that the client asked for in TLS (SNI)."],
  ["connection.event", "string", "report", "What a TCP report is about: `open`, `continue` or `close`."],
  ["connection.received.bytes", "int64", "report", "Bytes received since the last report of the connection."],
  ["connection.received.bytes_total", "int64", "report", "Bytes received in the connection's whole life."],
  ["connection.sent.bytes", "int64", "report", "Bytes sent since the last report of the connection."],
  ["connection.sent.bytes_total", "int64", "report", "Bytes sent in the connection's whole life."],
  ["connection.duration", "duration", "report", "How long the connection was open."],

  ["context.protocol", "string", "check", "`http`, `grpc` or `tcp`."],
  ["context.time", "timestamp", "check", "When a TCP connection was accepted or reported on."],
  ["context.timestamp", "timestamp", "check", "Older name of `context.time`."],
  ["context.reporter.kind", "string", "check", "Which side the proxy stands at: `inbound` or `outbound`."],
  ["context.reporter.uid", "string", "check", "Identifier of the workload instance that the proxy belongs to."],
  ["context.reporter.local", "bool", "check", "Older form of `context.reporter.kind`: true at the server's side."],
  ["context.proxy_version", "string", "check", "Version of the proxy."],
  [
    "context.extensions",
    "string_map",
    "check",
    "What the proxy's configuration adds to a check (`context_extensions`).",
  ],
  ["context.proxy_error_code", "string", "report", "Flags of the proxy for what went wrong with the response, or `-`."],

  ["ratelimit.domain", "string", "check", "Domain of a request to a rate limit door."],
  ["ratelimit.descriptor", "string_map", "check", "Entries of one descriptor of a request to a rate limit door."],

  ["response.headers", "string_map", "report", "Headers of the response, names in lower case."],
  ["response.code", "int64", "report", "HTTP status of the response."],
  ["response.size", "int64", "report", "Bytes of the response's body."],
  ["response.total_size", "int64", "report", "Bytes of the response with its headers and trailers."],
  ["response.time", "timestamp", "report", "When the proxy sent the response."],
  ["response.duration", "duration", "report", "How long the response took, from the request's first byte."],
  ["response.grpc_status", "string", "report", "The `grpc-status` of the response."],
  ["response.grpc_message", "string", "report", "The `grpc-message` of the response."],

  ["check.error_code", "int64", "report", "gRPC status code of the check that refused the request."],
  ["check.error_message", "string", "report", "Message of the check that refused the request."],
  ["check.cache_hit", "bool", "report", "Whether the proxy answered the check from its cache."],
  ["quota.cache_hit", "bool", "report", "Whether the proxy answered the quota from its cache."],

  ["rbac.permissive.response_code", "string", "report", "What the proxy's RBAC would have answered, were it enforced."],
  [
    "rbac.permissive.effective_policy_id",
    "string",
    "report",
    "Which RBAC policy would have decided, were it enforced.",
  ],
];

/** The built-in vocabulary. */
export const standardVocabulary: Vocabulary = new Map(
  words.map(([name, type, known, description]): [string, Attribute] => [name, { name, type, known, description }]),
);
