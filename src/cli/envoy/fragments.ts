import { accessLogOptions, httpAccessLog, tcpAccessLog } from "./access-log.ts";
import { httpBootstrap, routeParts, tcpBootstrap } from "./bootstrap.ts";
import type { Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { envoyFilter } from "./envoy-filter.ts";
import { extAuthzFilter } from "./ext-authz.ts";
import { grpcStatsFilter } from "./grpc-stats.ts";
import { hubCluster } from "./hub-cluster.ts";
import { rateLimitQuotaFilter } from "./rate-limit-quota.ts";
import { rateLimitFilter } from "./rate-limit.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import type { EnvoySettings } from "./settings.ts";

/** What a piece of configuration is made from. */
export interface Given {
  readonly settings: EnvoySettings;
  readonly reads: PolicyReads;
  readonly descriptor: Descriptor;
}

interface Piece {
  /** What it is and where it belongs, for the help and as the first line of the output. */
  readonly what: string;
  readonly make: (given: Given) => Tree;
}

/** What `weir envoy` can print, by the name that `--fragment` takes. */
export const pieces = {
  bootstrap: {
    what: "a whole configuration for envoy -c: one listener before one HTTP service",
    make: ({ settings, reads, descriptor }) => httpBootstrap(settings, reads, descriptor),
  },
  "tcp-bootstrap": {
    what: "a whole configuration for envoy -c: one listener before one TCP service, which is reported and not judged",
    make: ({ settings }) => tcpBootstrap(settings),
  },
  "envoy-filter": {
    what: "Istio's EnvoyFilter with all of it for the sidecars of one HTTP service, as kubectl takes it",
    make: ({ settings, reads, descriptor }) => envoyFilter(settings, reads, descriptor),
  },
  "ext-authz": {
    what: "an entry of http_filters, before the router: asks the hub about each request",
    make: ({ settings, reads }) => extAuthzFilter(settings, reads),
  },
  ratelimit: {
    what: "an entry of http_filters, after ext-authz: charges the limits `at: ratelimit`",
    make: ({ settings }) => rateLimitFilter(settings),
  },
  "rate-limit-quota": {
    what: "an entry of http_filters in place of ratelimit: keeps to those limits by itself, with its share of each",
    make: ({ settings, descriptor }) => rateLimitQuotaFilter(settings, descriptor),
  },
  "grpc-stats": {
    what: "an entry of http_filters, before the router: counts the messages of gRPC calls for access-log",
    make: () => grpcStatsFilter(),
  },
  route: {
    what: "keys of a virtual host or a route: what it tells ext-authz and ratelimit",
    make: ({ settings, descriptor }) => routeParts(settings, descriptor),
  },
  "access-log": {
    what: "an entry of access_log of the HTTP connection manager: reports each request",
    make: ({ settings, reads }) => httpAccessLog(settings, reads),
  },
  "access-log-options": {
    what: "access_log_options of the HTTP connection manager, with access-log: tells of requests that last",
    make: ({ settings }) => accessLogOptions("flush_access_log_on_new_request", settings.ongoingMs!),
  },
  "tcp-access-log": {
    what: "an entry of access_log of a TCP proxy: reports each connection",
    make: ({ settings }) => tcpAccessLog(settings),
  },
  cluster: { what: "an entry of clusters: the hub", make: ({ settings }) => hubCluster(settings) },
} satisfies Readonly<Record<string, Piece>>;

export type Fragment = keyof typeof pieces;
