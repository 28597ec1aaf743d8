import { randomBytes } from "node:crypto";
import { Apportioner } from "../runtime/quota/apportioner.ts";
import type { QuotaLimits } from "../runtime/quota/bucket-limits.ts";
import type { DividedCounts } from "../runtime/quota/divided-count.ts";
import type { Serving } from "../runtime/runtime.ts";
import type { Log } from "../sdk/index.ts";
import type { Reporter } from "../telemetry/report.ts";
import type { CacheCounts } from "../util/cache-counts.ts";
import type { Observer } from "../util/observer.ts";
import type { Timers } from "../util/timers.ts";
import { createAuthzDoor } from "../wire/authz/authz-door.ts";
import type { DoorOptions, GrpcDoor } from "../wire/call.ts";
import { createAccessLogDoor } from "../wire/envoy/access-log/access-log-door.ts";
import { createExtAuthzDoor } from "../wire/envoy/ext-authz/ext-authz-door.ts";
import { createRateLimitQuotaDoor, type QuotaSession } from "../wire/envoy/rate-limit-quota/rate-limit-quota-door.ts";
import { createRateLimitDoor } from "../wire/envoy/ratelimit/rate-limit-door.ts";
import { createHttpDoor } from "../wire/http/http-door.ts";
import type { HttpDoor } from "../wire/http/route.ts";
import { createMixerDoor } from "../wire/mixer/mixer-door.ts";
import type { Session } from "../wire/session.ts";
import { createStreamDoor } from "../wire/stream/stream-door.ts";
import { sessionOn } from "./session-of.ts";

export interface Doors {
  readonly grpc: readonly GrpcDoor[];
  readonly http: readonly HttpDoor[];
  /** What the caches of each door did. */
  readonly caches: readonly (readonly [door: string, cache: string, counts: CacheCounts])[];
  /** How many entries of access logs were read and would be lost with the process now. */
  readonly unsafeEntries: () => number;
  /** What is divided among proxies that keep to limits by themselves. */
  readonly divided: DividedCounts;
}

export interface DoorsOptions {
  /** Takes hold of the policies that serve now. */
  readonly acquire: () => Serving<Reporter>;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970, and of a clock that is never set. */
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly timers: Timers;
  /** What becomes at first of limits that proxies keep to by themselves (`doors.ratelimitQuota`). */
  readonly afterStart: "wait" | "assign";
}

/** Makes every door of a hub, each on the policies that serve when a call comes. */
export function createDoors(options: DoorsOptions): Doors {
  const { acquire, observer, log, now, monotonic, timers } = options;
  const doorFor = (name: string): DoorOptions => {
    // One session object serves all requests of a door on a snapshot.
    let session: { readonly serving: Serving<Reporter>; readonly session: Session } | undefined;
    const open = (): Session => {
      const serving = acquire();
      if (session?.serving !== serving) session = { serving, session: sessionOn(serving, name, monotonic) };
      return session.session;
    };
    return { open, observer, log };
  };
  const openQuotas = (): QuotaSession => {
    const serving = acquire();
    return {
      layout: serving.snapshot.layout,
      bounds: serving.snapshot.settings.doors.ratelimitQuota,
      limitsOf: serving.quotas.limitsOf,
      observedOf: serving.quotas.observedOf,
      end: () => serving.release(),
    };
  };
  const apportioner = new Apportioner({
    member: randomBytes(12).toString("base64url"),
    now: monotonic,
    observer,
    stores: storesOf(acquire),
    ttlMs: assignmentMs,
    holdsBack: options.afterStart === "wait",
  });
  const accessLog = createAccessLogDoor({ ...doorFor("access_log"), now, timers });
  const grpc: readonly GrpcDoor[] = [
    createMixerDoor(doorFor("mixer")),
    createStreamDoor(doorFor("stream")),
    createExtAuthzDoor(doorFor("ext_authz")),
    createRateLimitDoor(doorFor("ratelimit")),
    createRateLimitQuotaDoor({ open: openQuotas, apportioner, observer, log, timers }),
    accessLog,
  ];
  return {
    grpc,
    unsafeEntries: accessLog.unsafe,
    divided: apportioner.divided,
    http: [createHttpDoor(doorFor("http")), createAuthzDoor({ ...doorFor("authz"), now })],
    caches: grpc.flatMap(({ name, caches = {} }: GrpcDoor) =>
      Object.entries(caches).map(([cache, counts]) => [name, cache, counts] as const),
    ),
  };
}

/** How long an assignment to a proxy that keeps to a limit by itself holds. */
const assignmentMs = 10_000;

/** The stores of the policies that serve when they are asked. */
function storesOf(acquire: () => Serving<Reporter>): Pick<QuotaLimits, "isShared" | "apportion"> {
  return {
    isShared(adapter) {
      const serving = acquire();
      try {
        return serving.quotas.isShared(adapter);
      } finally {
        serving.release();
      }
    },
    apportion(adapter, stakes) {
      const serving = acquire();
      const answer = serving.quotas.apportion(adapter, stakes);
      if (answer instanceof Promise) return answer.finally(() => serving.release());
      serving.release();
      return answer;
    },
  };
}
