import type { Layout } from "../../../attributes/layout.ts";

/** Where the attributes are held that an entry of an access log may bring: by name a slot, or -1 where no rule reads it. */
export type EntrySlots = ReturnType<typeof entrySlots>;

/** The slots of a string map that some rule reads. */
export interface MapSlots {
  /** The map's own slot. */
  readonly slot: number;
  readonly isWhole: boolean;
  readonly keys: ReadonlyMap<string, number>;
}

export function entrySlots(layout: Layout) {
  const slot = (name: string): number => layout.find(name) ?? -1;
  const reads = (part: string): boolean => layout.slots.some(({ name }) => name.startsWith(`${part}.`));
  return {
    layout,
    source: {
      ip: slot("source.ip"),
      port: slot("source.port"),
      principal: slot("source.principal"),
      user: slot("source.user"),
      namespace: slot("source.namespace"),
      serviceAccount: slot("source.serviceAccount"),
      /** Whether some rule reads anything of the caller. */
      isRead: reads("source"),
    },
    origin: { ip: slot("origin.ip") },
    destination: {
      ip: slot("destination.ip"),
      port: slot("destination.port"),
      principal: slot("destination.principal"),
      user: -1,
      namespace: slot("destination.namespace"),
      serviceAccount: slot("destination.serviceAccount"),
      isRead: reads("destination"),
    },
    service: {
      host: slot("destination.service.host"),
      name: slot("destination.service.name"),
      namespace: slot("destination.service.namespace"),
    },
    request: {
      id: slot("request.id"),
      host: slot("request.host"),
      method: slot("request.method"),
      path: slot("request.path"),
      scheme: slot("request.scheme"),
      referer: slot("request.referer"),
      useragent: slot("request.useragent"),
      time: slot("request.time"),
      protocol: slot("request.protocol"),
      size: slot("request.size"),
      totalSize: slot("request.total_size"),
      messages: slot("request.messages"),
      headers: mapSlots(layout, "request.headers"),
    },
    response: {
      code: slot("response.code"),
      codeDetails: slot("response.code_details"),
      size: slot("response.size"),
      totalSize: slot("response.total_size"),
      messages: slot("response.messages"),
      time: slot("response.time"),
      duration: slot("response.duration"),
      grpcStatus: slot("response.grpc_status"),
      grpcMessage: slot("response.grpc_message"),
      headers: mapSlots(layout, "response.headers"),
      trailers: mapSlots(layout, "response.trailers"),
    },
    connection: {
      id: slot("connection.id"),
      mtls: slot("connection.mtls"),
      serverName: slot("connection.requested_server_name"),
      tlsVersion: slot("connection.tls_version"),
      event: slot("connection.event"),
      received: slot("connection.received.bytes"),
      receivedTotal: slot("connection.received.bytes_total"),
      sent: slot("connection.sent.bytes"),
      sentTotal: slot("connection.sent.bytes_total"),
      duration: slot("connection.duration"),
      terminationDetails: slot("connection.termination_details"),
    },
    upstream: {
      ip: slot("upstream.ip"),
      port: slot("upstream.port"),
      cluster: slot("upstream.cluster"),
      attempts: slot("upstream.attempts"),
      duration: slot("upstream.duration"),
      failure: slot("upstream.failure_reason"),
      route: slot("route.name"),
    },
    context: {
      protocol: slot("context.protocol"),
      time: slot("context.time"),
      timestamp: slot("context.timestamp"),
      reporterKind: slot("context.reporter.kind"),
      reporterUid: slot("context.reporter.uid"),
      reporterLocal: slot("context.reporter.local"),
      proxyVersion: slot("context.proxy_version"),
      proxyErrorCode: slot("context.proxy_error_code"),
      logName: slot("context.log_name"),
      tags: mapSlots(layout, "context.tags"),
    },
    check: {
      id: slot("check.decision_id"),
      version: slot("check.policy_version"),
      rules: slot("check.rules"),
      errorCode: slot("check.error_code"),
    },
    rateLimit: { id: slot("ratelimit.decision_id") },
    /** Whether some rule reads what filters of the proxy found out. */
    readsMetadata: ["context.metadata", "check", "request.auth", "ratelimit.decision_id"].some(
      (name) => layout.find(name) !== undefined || reads(name),
    ),
  };
}

function mapSlots(layout: Layout, name: string): MapSlots | undefined {
  const slot = layout.find(name);
  if (slot === undefined) return undefined;
  return { slot, isWhole: layout.isWhole(slot), keys: layout.keysOf(name) ?? new Map() };
}
