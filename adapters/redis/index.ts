import { defineAdapter, type Adapter, type Host } from "weir/sdk";
import { redisConfig } from "./config.ts";
import { connect } from "./connection.ts";
import { createQuota } from "./quota.ts";

/**
 * The adapter, with a clock other than Redis's own where a test needs time to stand still.
 *
 * @param clock the time in milliseconds
 */
export function redisAdapter(
  clock?: (host: Host) => number,
): Adapter<"quota", Record<never, never>, typeof redisConfig> {
  return defineAdapter({
    name: "redis",
    description: "counts limits in Redis, for all hubs that share it",
    provides: ["quota"],
    config: redisConfig,
    async create(config, host) {
      const store = await connect(config, host);
      const { quota, refund } = createQuota(store, {
        prefix: config.prefix,
        dedupMs: config.dedup,
        now: () => host.now(),
        clock: clock && (() => clock(host)),
      });
      return { quota, refund, close: () => store.close() };
    },
  });
}

/** Counts limits in Redis: what is counted by one hub holds for all that share the server and the prefix. */
export default redisAdapter();
