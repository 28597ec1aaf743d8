import type { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Apportioner } from "../../../runtime/quota/apportioner.ts";
import type { BucketLimit, BucketLimits } from "../../../runtime/quota/bucket-limits.ts";
import type { BucketBounds } from "../../../runtime/quota/bucket-places.ts";
import type { Log } from "../../../sdk/index.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Timers } from "../../../util/timers.ts";
import type { Duplex, GrpcDoor } from "../../call.ts";
import { QuotaRoom } from "./quota-room.ts";
import { QuotaStream } from "./quota-stream.ts";

/** The policies that serve, as far as this door asks them. {@link QuotaSession.end} must be called exactly once. */
export interface QuotaSession {
  readonly layout: Layout;
  /** `doors.ratelimitQuota` of weir.yaml. */
  readonly bounds: BucketBounds;
  /** The limits that hold for a bucket. The bag may be filled anew as soon as this returns. */
  limitsOf(bag: Bag): BucketLimits;
  /** Those of policies that observe. `undefined` where there are none. */
  readonly observedOf: ((bag: Bag) => readonly BucketLimit[]) | undefined;
  end(): void;
}

export interface RateLimitQuotaOptions {
  readonly open: () => QuotaSession;
  readonly apportioner: Apportioner;
  readonly observer: Observer;
  readonly log: Log;
  readonly timers: Timers;
}

const name = "ratelimit_quota";

/**
 * The door of proxies that keep to limits by themselves: `envoy.service.rate_limit_quota.v3.RateLimitQuotaService`. Of
 * what a limit allows each gets a part by what it reports to need, and all parts together are no more than the limit.
 */
export function createRateLimitQuotaDoor(options: RateLimitQuotaOptions): GrpcDoor {
  const room = new QuotaRoom(name, options);
  return {
    name,
    unary: new Map(),
    duplex: new Map<string, Duplex>([
      [
        "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas",
        (out, call) => new QuotaStream(out, call, room),
      ],
    ]),
  };
}
