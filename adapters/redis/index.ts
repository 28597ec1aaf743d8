import { randomInt } from "node:crypto";
import { Answered, defineAdapter, type Adapter, type Host } from "weir/sdk";
import { redisConfig, type RedisConfig } from "./config.ts";
import { connect } from "./connection.ts";
import { createHolds } from "./holds.ts";
import { attend } from "./presence.ts";
import { createShares } from "./shares.ts";
import { createQuota, type QuotaOptions } from "./quota.ts";
import { readTable } from "./table.ts";
import { createUsage } from "./usage.ts";
import { createDraw, type DrawOn } from "./draw.ts";
import { Estimates } from "./estimates.ts";
import { leaseClock } from "./lease-clock.ts";
import { Leases } from "./leases.ts";
import { createSharedQuota } from "./shared-quota.ts";

/** The most deduplication ids that a hub remembers of limits that are not exact. */
const maxDedupIds = 100_000;

/**
 * The adapter, with a clock other than Redis's own where a test needs time to stand still.
 *
 * @param clock the time in milliseconds
 */
export function redisAdapter(
  clock?: (host: Host) => number,
): Adapter<"quota" | "holds" | "table", Record<never, never>, typeof redisConfig> {
  return defineAdapter({
    name: "redis",
    description: "counts limits in Redis, for all hubs that share it",
    provides: ["quota", "holds", "table"],
    consistencies: ["bounded", "best-effort"],
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
      const exact = createQuota(store, options);
      const shared = createShared(createDraw(store, options), config, host);
      const { quota, refund, atHand } = createSharedQuota(exact, shared.leases, shared.estimates);
      const { peers, leave } = await attend(store, config.prefix, host);
      return {
        quota,
        refund,
        atHand,
        leases: () => shared.leases.states(),
        holds: createHolds(store, options),
        usage: createUsage(store, options),
        apportion: createShares(store, options),
        table: await readTable(store, config, host),
        peers,
        unready: () => store.unready(),
        timeoutMs: config.timeout,
        async close() {
          await Promise.all([shared.close(), leave()]);
          await store.close();
        },
      };
    },
  });
}

/** What is kept of limits that are not exact, looked after until the instance is closed. */
function createShared(draw: DrawOn, { ahead, reconcile, dedup, maxKeys }: RedisConfig, host: Host) {
  const options = {
    draw,
    maxKeys,
    clock: leaseClock(host),
    now: () => host.now(),
    answered: new Answered(dedup, maxDedupIds, (ids) => host.count("dedup_forgotten", ids)),
    count: (event: string, by?: number) => host.count(event, by),
  };
  const leases = new Leases({ ...options, aheadMs: ahead, nextNumber: () => randomInt(1, 2 ** 48 - 1) });
  const estimates = new Estimates(options);
  host.every(ahead / 2, () => leases.sweep());
  host.every(reconcile, () => estimates.reconcile());
  return {
    leases,
    estimates,
    async close(): Promise<void> {
      await Promise.all([leases.close(), estimates.reconcile()]);
    },
  };
}

/** Counts limits in Redis: what is counted by one hub holds for all that share the server and the prefix. */
export default redisAdapter();
