import { framingHeaders } from "../../util/framing-headers.ts";

/**
 * How a kind of proxy asks for authorization: which headers of its request say what the caller asked for, and which
 * are not the caller's. All names in lower case. `docs/doors/authz.md` shows the same; a test compares.
 */
export interface Dialect {
  readonly name: "nginx" | "forward" | "envoy";
  /** Where it asks. `envoy` puts the original path and query behind it. */
  readonly path: string;
  readonly headers: {
    /** Left out: the method of the proxy's request. */
    readonly method?: string;
    /** Path and query. Left out: what follows the path of the door. */
    readonly uri?: string;
    readonly host: string;
    readonly scheme: string;
    /** Addresses that the request came through, the nearest last. */
    readonly address: string;
    /** Left out: no header that a caller could not write itself. */
    readonly id?: string;
  };
  /** Headers of the proxy's own, beside those above: no rule sees them. */
  readonly own: readonly string[];
}

/** What any proxy writes for its own connection to the hub (RFC 9110, 7.6.1), or about where a request came through. */
const ownOfAll = [...framingHeaders, "expect", "host", "x-forwarded-for", "x-real-ip"];

/** nginx's auth_request, with the configuration that `weir nginx` prints. */
export const nginx: Dialect = {
  name: "nginx",
  path: "/v1/authz/nginx",
  headers: {
    method: "x-original-method",
    uri: "x-original-uri",
    host: "x-original-host",
    scheme: "x-original-scheme",
    address: "x-forwarded-for",
    id: "x-original-id",
  },
  own: ownOfAll,
};

/** Traefik's ForwardAuth and Caddy's forward_auth. */
export const forward: Dialect = {
  name: "forward",
  path: "/v1/authz",
  headers: {
    method: "x-forwarded-method",
    uri: "x-forwarded-uri",
    host: "x-forwarded-host",
    scheme: "x-forwarded-proto",
    address: "x-forwarded-for",
  },
  own: [...ownOfAll, "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server"],
};

/**
 * Envoy's ext_authz with `http_service`. Envoy puts its own address behind `x-forwarded-for`, so the client's comes in
 * a header that Envoy's configuration writes over whatever the caller sent.
 */
export const envoy: Dialect = {
  name: "envoy",
  path: "/v1/authz/envoy",
  headers: { host: "host", scheme: "x-forwarded-proto", address: "x-weir-client-address", id: "x-request-id" },
  own: [...ownOfAll, "x-envoy-expected-rq-timeout-ms", "x-envoy-internal"],
};

export const dialects: readonly Dialect[] = [nginx, forward, envoy];
