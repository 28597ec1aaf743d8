/** At which moment of a request or connection an entry was written. */
export type Moment = "start" | "going" | "end" | "attempt";

/**
 * By `envoy.data.accesslog.v3.AccessLogType`. What a router writes of each of its attempts upstream is no entry of a
 * request or a connection.
 */
const moments: readonly (Moment | undefined)[] = [
  undefined, // NotSet
  "start", // TcpUpstreamConnected
  "going", // TcpPeriodic
  "end", // TcpConnectionEnd
  "start", // DownstreamStart
  "going", // DownstreamPeriodic
  "end", // DownstreamEnd
  "attempt", // UpstreamPoolReady
  "attempt", // UpstreamPeriodic
  "attempt", // UpstreamEnd
  "going", // DownstreamTunnelSuccessfullyEstablished
  "start", // UdpTunnelUpstreamConnected
  "going", // UdpPeriodic
  "end", // UdpSessionEnd
  "start", // TcpConnectionStart
];

/**
 * The moment of an entry. A proxy that sets no type is older: then `isIntermediate` tells. Of a type that is newer than
 * this hub, only an end has a duration.
 */
export function momentOf(type: number, isIntermediate: boolean, hasDuration: boolean): Moment {
  const known = moments[type];
  if (known !== undefined) return known;
  if (type === 0) return isIntermediate ? "going" : "end";
  return hasDuration ? "end" : "going";
}
