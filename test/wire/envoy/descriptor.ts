import type { RateLimitDescriptor } from "../../../src/wire/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";

/** A descriptor with these entries. */
export function descriptor(
  entries: Readonly<Record<string, string>>,
  more: Partial<RateLimitDescriptor> = {},
): RateLimitDescriptor {
  return {
    limit: undefined,
    hitsAddend: undefined,
    isNegativeHits: false,
    ...more,
    entries: Object.entries(entries).map(([key, value]) => ({ key, value })),
  };
}
