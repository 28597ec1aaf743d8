import { defineAdapter, type Adapter, type Host } from "weir/sdk";
import { redisConfig } from "./config.ts";
import { connect } from "./connection.ts";
import { createHolds } from "./holds.ts";
import { attend } from "./presence.ts";
import { createShares } from "./shares.ts";
import { createQuota, type QuotaOptions } from "./quota.ts";
import { createUsage } from "./usage.ts";

/**
 * The adapter, with a clock other than Redis's own where a test needs time to stand still.
 *
 * @param clock the time in milliseconds
 */
export function redisAdapter(
  clock?: (host: Host) => number,
): Adapter<"quota" | "holds", Record<never, never>, typeof redisConfig> {
  return defineAdapter({
    name: "redis",
    description: "counts limits in Redis, for all hubs that share it",
    provides: ["quota", "holds"],
    config: redisConfig,
    async create(config, host) {
      const store = await connect(config, host);
      const options: QuotaOptions = {
        prefix: config.prefix,
        dedupMs: config.dedup,
        now: () => host.now(),
        clock: clock && (() => clock(host)),
        onUnlisted(error) {
          host.count("hold_lost");
          host.log.warn({ err: error }, "what a decision took could not be noted: it counts until it ends by itself");
        },
      };
      const { quota, refund } = createQuota(store, options);
      const { peers, leave } = await attend(store, config.prefix, host);
      return {
        quota,
        refund,
        holds: createHolds(store, options),
        usage: createUsage(store, options),
        apportion: createShares(store, options),
        peers,
        timeoutMs: config.timeout,
        async close() {
          await leave();
          await store.close();
        },
      };
    },
  });
}

/** Counts limits in Redis: what is counted by one hub holds for all that share the server and the prefix. */
export default redisAdapter();
