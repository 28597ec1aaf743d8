import { Cidr } from "../../attributes/ip.ts";
import { list, record } from "../shape/collections.ts";
import { bytes } from "../shape/quantities.ts";
import { choice, integer, parsedText } from "../shape/scalars.ts";
import type { Read } from "../shape/shape.ts";

export const rateLimitFieldsShape = record("the header fields that tell of limits", {
  style: {
    shape: choice("a style of header fields", ["draft", "legacy", "both", "none"]),
    description:
      "`draft`: `RateLimit` and `RateLimit-Policy` of the IETF's draft; `legacy`: `X-RateLimit-*`; `both`; `none`.",
    default: "`draft`",
  },
  on: {
    shape: choice("which answers have the fields", ["refused", "always"]),
    description: "`refused`: only the answer of a limit that refuses; `always`: every answer that charged a limit.",
    default: "`refused`",
  },
});

export const ratelimitDoorShape = record("settings of the rate limit door", {
  charge: {
    shape: choice("how several limits are charged", ["all-or-nothing", "each"]),
    description:
      "`all-or-nothing`: a request that one limit refuses takes nothing of any. `each`: every limit is charged by itself, and one with less than was wanted gives what it has, as Envoy's reference service counts.",
    default: "`all-or-nothing`",
  },
  overrides: {
    shape: choice("whose descriptors may say another limit", ["all", "clients", "none"]),
    description:
      "Whose descriptors may say an amount and window instead of the rule's: `all` callers, the `clients` that the listener names, or `none`. What may not is left out and counted.",
    default: "`all`",
  },
});

export const ratelimitQuotaDoorShape = record("settings of the rate limit quota door", {
  buckets: {
    shape: integer("a number of buckets", 1, 1_000_000),
    description: "The most buckets of all proxies. Those beyond get no assignment and are counted.",
    default: "`20000`",
  },
  perClient: {
    shape: integer("a number of buckets", 1, 1_000_000),
    description:
      "The most buckets of one client: one that the listener names, however many proxies have its name, else one address.",
    default: "a quarter of `buckets`",
  },
  afterStart: {
    shape: choice("what a hub does that has just started", ["wait", "assign"]),
    description:
      "What becomes of limits that the hub counts alone while proxies may still hold what was assigned before it started: `wait` 11 seconds, so that never more than the limit is out, or `assign` at once. Read at the start.",
    default: "`wait`",
  },
});

const network = parsedText({
  expected: "a network such as 10.0.0.0/8, or an address",
  parse(text) {
    const value = Cidr.parse(text);
    return value === undefined ? undefined : { value };
  },
  schema: { type: "string" },
});

export const authzShape = record("settings of the door for HTTP authorization", {
  trusted: {
    shape: list("a list of networks", network),
    description:
      "Networks of the proxies that may ask at `/v1/authz`, and whose hops in `X-Forwarded-For` are passed over. Whoever else asks is refused.",
    default: "the loopback addresses",
  },
});

export const doorsShape = record("settings of doors", {
  rateLimitFields: {
    shape: rateLimitFieldsShape,
    description: "Which header fields tell the caller of its limits, where a proxy answers for the hub.",
    default: "below",
  },
  ratelimit: { shape: ratelimitDoorShape, description: "Envoy's rate limit door.", default: "below" },
  ratelimitQuota: { shape: ratelimitQuotaDoorShape, description: "Envoy's rate limit quota door.", default: "below" },
  encodedSlash: {
    shape: choice("what becomes of a path with an encoded slash", ["keep", "refuse"]),
    description:
      "`refuse`: a request whose path has an encoded slash or backslash, or a plain backslash, is refused with `invalid_argument`. `keep`: it is judged, and they stay encoded in `request.url_path`.",
    default: "`keep`",
  },
  authz: { shape: authzShape, description: "HTTP authorization for nginx, Traefik, Caddy, Envoy.", default: "below" },
  body: {
    shape: bytes(0, 64 * 1024 * 1024),
    description:
      "The largest body of a request that rules may read; that of a larger one is an error of the rule. `limits.message` must be larger by 128 KiB.",
    default: "`64KiB`",
  },
});

/** `doors:` of weir.yaml, with its defaults. */
export interface DoorSettings {
  /** The header fields that tell a caller of its limits. Default: those of the IETF's draft, on refusals. */
  readonly rateLimitFields: {
    readonly style: "draft" | "legacy" | "both" | "none";
    readonly on: "refused" | "always";
  };
  readonly ratelimit: {
    /** Whether one limit that refuses keeps the others from being charged. Default: it does. */
    readonly charge: "all-or-nothing" | "each";
    /** Whose descriptors may say another amount and window. Default: every caller's. */
    readonly overrides: "all" | "clients" | "none";
  };
  readonly ratelimitQuota: {
    /** The most buckets of all proxies. Default 20,000. */
    readonly buckets: number;
    /** The most buckets of one client. Default: a quarter of those. */
    readonly perClient: number;
    /** Whether a hub that starts waits until nothing can be out that was assigned before. Default: it does. */
    readonly afterStart: "wait" | "assign";
  };
  /** Whether a path with an encoded slash or a backslash is judged or refused. Default: judged. */
  readonly encodedSlash: "keep" | "refuse";
  /** The largest body of a request that becomes an attribute. Default 64 KiB. */
  readonly bodyBytes: number;
  readonly authz: {
    /** The networks of proxies that may ask for HTTP authorization. Default: the loopback addresses. */
    readonly trusted: readonly Cidr[];
  };
}

const loopback: readonly Cidr[] = ["127.0.0.0/8", "::1"].map((text) => Cidr.parse(text)!);

export function doorSettings(raw: Read<typeof doorsShape> | undefined): DoorSettings {
  const buckets = raw?.ratelimitQuota?.buckets?.value ?? 20_000;
  return {
    rateLimitFields: {
      style: raw?.rateLimitFields?.style?.value ?? "draft",
      on: raw?.rateLimitFields?.on?.value ?? "refused",
    },
    ratelimit: {
      charge: raw?.ratelimit?.charge?.value ?? "all-or-nothing",
      overrides: raw?.ratelimit?.overrides?.value ?? "all",
    },
    ratelimitQuota: {
      buckets,
      perClient: raw?.ratelimitQuota?.perClient?.value ?? Math.ceil(buckets / 4),
      afterStart: raw?.ratelimitQuota?.afterStart?.value ?? "wait",
    },
    encodedSlash: raw?.encodedSlash?.value ?? "keep",
    bodyBytes: raw?.body?.value ?? 64 * 1024,
    authz: { trusted: raw?.authz?.trusted?.items.map(({ value }) => value) ?? loopback },
  };
}
