/** Which side a proxy stands at, as `context.reporter.kind` has it. */
export type Direction = "inbound" | "outbound";

/** What the name of a proxy's upstream cluster says. */
export interface Service {
  readonly direction?: Direction;
  readonly host?: string;
  readonly name?: string;
  readonly namespace?: string;
}

/** Istio's clusters for what it does not know, by direction; each is its own service name. */
const catchAll: ReadonlyMap<string, Direction> = new Map([
  ["PassthroughCluster", "outbound"],
  ["BlackHoleCluster", "outbound"],
  ["InboundPassthroughCluster", "inbound"],
  ["InboundPassthroughClusterIpv4", "inbound"],
  ["InboundPassthroughClusterIpv6", "inbound"],
]);

/**
 * Cuts the name of a cluster: Istio's `outbound|9080|v1|reviews.bookinfo.svc.cluster.local` (and `inbound|9080||`, and
 * `outbound_.9080_.v1_.HOST` behind gateways), a host name, or any other name, which then is both host and name.
 */
export function serviceOfCluster(cluster: string): Service {
  if (cluster === "") return {};
  const direction = catchAll.get(cluster);
  if (direction !== undefined) return { direction, name: cluster };
  for (const separator of ["|", "_."]) {
    const parts = cluster.split(separator);
    const [kind, , , host] = parts;
    if (parts.length !== 4 || (kind !== "inbound" && kind !== "outbound")) continue;
    return { direction: kind, ...(host === "" ? {} : serviceOfHost(host!)) };
  }
  return serviceOfHost(cluster);
}

/** A service by its host: `reviews.bookinfo.svc.cluster.local` is `reviews` in `bookinfo`; another host is its own name. */
export function serviceOfHost(host: string): Service {
  const [name, namespace, svc] = host.split(".", 3);
  return svc === "svc" && name !== "" && namespace !== ""
    ? { host, name: name!, namespace: namespace! }
    : { host, name: host };
}
