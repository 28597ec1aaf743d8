import type { Layout } from "../../../attributes/layout.ts";
import { want, type Want } from "../../protobuf/field-index.ts";

const none = -1;

/** The slots of a string map that some rule reads. */
export interface MapSlots {
  /** The map's own slot. */
  readonly slot: number;
  readonly isWhole: boolean;
  readonly keys: ReadonlyMap<string, number>;
}

/** A layout, prepared for access log entries: the slot of each attribute that an entry may bring, or -1. */
export class EntrySlots {
  readonly layout: Layout;

  readonly sourceIp: number;
  readonly sourcePort: number;
  readonly sourcePrincipal: number;
  readonly sourceUser: number;
  readonly sourceNamespace: number;
  readonly sourceServiceAccount: number;
  readonly destinationIp: number;
  readonly destinationPort: number;
  readonly destinationPrincipal: number;
  readonly destinationNamespace: number;
  readonly destinationServiceAccount: number;
  readonly serviceHost: number;
  readonly serviceName: number;
  readonly serviceNamespace: number;
  readonly originIp: number;

  readonly requestId: number;
  readonly requestHost: number;
  readonly requestMethod: number;
  readonly requestPath: number;
  readonly requestScheme: number;
  readonly requestReferer: number;
  readonly requestUseragent: number;
  readonly requestTime: number;
  readonly requestProtocol: number;
  readonly requestSize: number;
  readonly requestTotalSize: number;
  readonly requestHeaders: MapSlots | undefined;

  readonly responseCode: number;
  readonly responseCodeDetails: number;
  readonly responseSize: number;
  readonly responseTotalSize: number;
  readonly responseTime: number;
  readonly responseDuration: number;
  readonly responseGrpcStatus: number;
  readonly responseGrpcMessage: number;
  readonly responseHeaders: MapSlots | undefined;
  readonly responseTrailers: MapSlots | undefined;

  readonly connectionId: number;
  readonly connectionMtls: number;
  readonly connectionServerName: number;
  readonly connectionTlsVersion: number;
  readonly connectionEvent: number;
  readonly receivedBytes: number;
  readonly receivedBytesTotal: number;
  readonly sentBytes: number;
  readonly sentBytesTotal: number;
  readonly connectionDuration: number;
  readonly terminationDetails: number;

  readonly upstreamIp: number;
  readonly upstreamPort: number;
  readonly upstreamCluster: number;
  readonly upstreamAttempts: number;
  readonly upstreamDuration: number;
  readonly upstreamFailure: number;
  readonly routeName: number;

  readonly contextProtocol: number;
  readonly contextTime: number;
  readonly contextTimestamp: number;
  readonly reporterKind: number;
  readonly reporterUid: number;
  readonly reporterLocal: number;
  readonly proxyVersion: number;
  readonly proxyErrorCode: number;
  readonly logName: number;
  readonly tags: MapSlots | undefined;

  readonly decisionId: number;
  readonly decisionVersion: number;
  readonly decisionRules: number;

  /** Whether anything is read that the caller's or the called workload's metadata may tell. */
  readonly readsSource: boolean;
  readonly readsDestination: boolean;
  /** Which fields of an AccessLogCommon are looked at. */
  readonly common: Readonly<Record<number, Want>>;
  /** Which fields of HTTPRequestProperties and HTTPResponseProperties. */
  readonly request: Readonly<Record<number, Want>>;
  readonly response: Readonly<Record<number, Want>>;

  constructor(layout: Layout) {
    this.layout = layout;
    const slot = (name: string): number => layout.find(name) ?? none;
    this.sourceIp = slot("source.ip");
    this.sourcePort = slot("source.port");
    this.sourcePrincipal = slot("source.principal");
    this.sourceUser = slot("source.user");
    this.sourceNamespace = slot("source.namespace");
    this.sourceServiceAccount = slot("source.serviceAccount");
    this.destinationIp = slot("destination.ip");
    this.destinationPort = slot("destination.port");
    this.destinationPrincipal = slot("destination.principal");
    this.destinationNamespace = slot("destination.namespace");
    this.destinationServiceAccount = slot("destination.serviceAccount");
    this.serviceHost = slot("destination.service.host");
    this.serviceName = slot("destination.service.name");
    this.serviceNamespace = slot("destination.service.namespace");
    this.originIp = slot("origin.ip");
    this.requestId = slot("request.id");
    this.requestHost = slot("request.host");
    this.requestMethod = slot("request.method");
    this.requestPath = slot("request.path");
    this.requestScheme = slot("request.scheme");
    this.requestReferer = slot("request.referer");
    this.requestUseragent = slot("request.useragent");
    this.requestTime = slot("request.time");
    this.requestProtocol = slot("request.protocol");
    this.requestSize = slot("request.size");
    this.requestTotalSize = slot("request.total_size");
    this.requestHeaders = mapSlots(layout, "request.headers");
    this.responseCode = slot("response.code");
    this.responseCodeDetails = slot("response.code_details");
    this.responseSize = slot("response.size");
    this.responseTotalSize = slot("response.total_size");
    this.responseTime = slot("response.time");
    this.responseDuration = slot("response.duration");
    this.responseGrpcStatus = slot("response.grpc_status");
    this.responseGrpcMessage = slot("response.grpc_message");
    this.responseHeaders = mapSlots(layout, "response.headers");
    this.responseTrailers = mapSlots(layout, "response.trailers");
    this.connectionId = slot("connection.id");
    this.connectionMtls = slot("connection.mtls");
    this.connectionServerName = slot("connection.requested_server_name");
    this.connectionTlsVersion = slot("connection.tls_version");
    this.connectionEvent = slot("connection.event");
    this.receivedBytes = slot("connection.received.bytes");
    this.receivedBytesTotal = slot("connection.received.bytes_total");
    this.sentBytes = slot("connection.sent.bytes");
    this.sentBytesTotal = slot("connection.sent.bytes_total");
    this.connectionDuration = slot("connection.duration");
    this.terminationDetails = slot("connection.termination_details");
    this.upstreamIp = slot("upstream.ip");
    this.upstreamPort = slot("upstream.port");
    this.upstreamCluster = slot("upstream.cluster");
    this.upstreamAttempts = slot("upstream.attempts");
    this.upstreamDuration = slot("upstream.duration");
    this.upstreamFailure = slot("upstream.failure_reason");
    this.routeName = slot("route.name");
    this.contextProtocol = slot("context.protocol");
    this.contextTime = slot("context.time");
    this.contextTimestamp = slot("context.timestamp");
    this.reporterKind = slot("context.reporter.kind");
    this.reporterUid = slot("context.reporter.uid");
    this.reporterLocal = slot("context.reporter.local");
    this.proxyVersion = slot("context.proxy_version");
    this.proxyErrorCode = slot("context.proxy_error_code");
    this.logName = slot("context.log_name");
    this.tags = mapSlots(layout, "context.tags");
    this.decisionId = slot("check.decision_id");
    this.decisionVersion = slot("check.policy_version");
    this.decisionRules = slot("check.rules");

    const reads = (side: string): boolean => layout.slots.some(({ name }) => name.startsWith(`${side}.`));
    this.readsSource = reads("source");
    this.readsDestination = reads("destination");

    const some = (...slots: readonly number[]): boolean => slots.some((each) => each !== none);
    const only = (kind: Want, isWanted: boolean): Want => (isWanted ? kind : want.nothing);
    const sides = this.readsSource || this.readsDestination;
    const isGrpcAsked = this.contextProtocol !== none;
    const isStatusAsked = some(this.responseGrpcStatus, this.responseGrpcMessage);
    const times = some(this.contextTime, this.contextTimestamp, this.responseTime);
    const durations = some(this.responseDuration, this.connectionDuration, this.contextTime, this.contextTimestamp);
    this.common = {
      2: only(want.delimited, some(this.sourceIp, this.sourcePort, this.originIp)),
      3: only(want.delimited, some(this.destinationIp, this.destinationPort)),
      4: only(want.delimited, sides || some(this.connectionMtls, this.connectionServerName, this.connectionTlsVersion)),
      // The beginning of a connection tells whether it may have been reported on before.
      5: want.delimited,
      7: only(want.delimited, some(this.upstreamDuration)),
      9: only(want.delimited, times),
      10: only(want.delimited, durations || some(this.upstreamDuration)),
      11: only(want.delimited, times),
      12: only(want.delimited, durations),
      13: only(want.delimited, some(this.upstreamIp, this.upstreamPort)),
      // Its name tells the direction, and by that which side the proxy stands at.
      15: want.delimited,
      16: only(want.delimited, some(this.proxyErrorCode)),
      17: only(want.delimited, some(this.decisionId, this.decisionVersion, this.decisionRules)),
      18: only(want.delimited, some(this.upstreamFailure)),
      19: only(want.delimited, some(this.routeName)),
      20: only(want.delimited, some(this.sourceIp, this.sourcePort)),
      21: only(want.repeated, sides),
      22: want.repeated,
      23: only(want.delimited, durations),
      24: only(want.varint, some(this.upstreamAttempts)),
      25: only(want.delimited, some(this.terminationDetails)),
      26: want.delimited,
      27: want.varint,
      33: want.varint,
    };
    const header = (key: string): boolean =>
      this.requestHeaders !== undefined && (this.requestHeaders.isWhole || this.requestHeaders.keys.has(key));
    this.request = {
      1: only(want.varint, some(this.requestMethod)),
      2: only(want.delimited, some(this.requestScheme)),
      3: only(want.delimited, some(this.requestHost)),
      5: only(want.delimited, some(this.requestPath)),
      6: only(want.delimited, some(this.requestUseragent) || header("user-agent")),
      7: only(want.delimited, some(this.requestReferer) || header("referer")),
      8: only(want.delimited, header("x-forwarded-for")),
      9: only(want.delimited, some(this.requestId) || header("x-request-id")),
      10: only(want.delimited, some(this.requestPath)),
      11: only(want.varint, some(this.requestTotalSize)),
      12: only(want.varint, some(this.requestSize, this.requestTotalSize)),
      13: only(want.repeated, isGrpcAsked || this.requestHeaders !== undefined),
    };
    this.response = {
      1: only(want.delimited, some(this.responseCode)),
      2: only(want.varint, some(this.responseTotalSize)),
      3: only(want.varint, some(this.responseSize, this.responseTotalSize)),
      4: only(want.repeated, isGrpcAsked || isStatusAsked || this.responseHeaders !== undefined),
      5: only(want.repeated, isGrpcAsked || isStatusAsked || this.responseTrailers !== undefined),
      6: only(want.delimited, some(this.responseCodeDetails)),
    };
  }
}

function mapSlots(layout: Layout, name: string): MapSlots | undefined {
  const slot = layout.find(name);
  if (slot === undefined) return undefined;
  return { slot, isWhole: layout.isWhole(slot), keys: layout.keysOf(name) ?? new Map() };
}
