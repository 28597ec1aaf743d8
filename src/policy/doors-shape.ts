import { record } from "./shape/collections.ts";
import { bytes } from "./shape/quantities.ts";
import { choice } from "./shape/scalars.ts";
import type { Read } from "./shape/shape.ts";

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

export const doorsShape = record("settings of doors", {
  rateLimitFields: {
    shape: rateLimitFieldsShape,
    description: "Which header fields tell the caller of its limits, where a proxy answers for the hub.",
    default: "below",
  },
  encodedSlash: {
    shape: choice("what becomes of a path with an encoded slash", ["keep", "refuse"]),
    description:
      "`refuse`: a request whose path has an encoded slash or backslash, or a plain backslash, is refused with `invalid_argument`. `keep`: it is judged, and they stay encoded in `request.url_path`.",
    default: "`keep`",
  },
  body: {
    shape: bytes(0, 64 * 1024 * 1024),
    description: "The largest body of a request that rules may read; that of a larger one is an error of the rule.",
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
  /** Whether a path with an encoded slash or a backslash is judged or refused. Default: judged. */
  readonly encodedSlash: "keep" | "refuse";
  /** The largest body of a request that becomes an attribute. Default 64 KiB. */
  readonly bodyBytes: number;
}

export function doorSettings(raw: Read<typeof doorsShape> | undefined): DoorSettings {
  return {
    rateLimitFields: {
      style: raw?.rateLimitFields?.style?.value ?? "draft",
      on: raw?.rateLimitFields?.on?.value ?? "refused",
    },
    encodedSlash: raw?.encodedSlash?.value ?? "keep",
    bodyBytes: raw?.body?.value ?? 64 * 1024,
  };
}
