import { randomInt } from "node:crypto";
import { defineAdapter } from "weir/sdk";
import { duration } from "weir/sdk/zod";
import { z } from "zod";
import { createLimiter } from "./limiter.ts";

/** Counts limits in this process's memory. Each hub counts for itself, and a restart forgets. */
export default defineAdapter({
  name: "memory",
  description: "Counts limits in this process's memory.",
  provides: ["quota", "holds"],
  config: z.strictObject({
    /** The most counters held at once, over all limits. */
    maxKeys: z.int().positive().max(10_000_000).default(1_000_000),
    /** The most counters that one limit may hold. */
    maxKeysPerLimit: z.int().positive().max(10_000_000).default(500_000),
    /** How long a deduplication id is remembered, at least; at most twice as long. */
    dedup: duration(0).prefault("10s"),
    /** The most deduplication ids remembered. */
    maxDedupIds: z.int().min(2).max(10_000_000).default(100_000),
    /** The most decisions of which is remembered what they took. */
    maxHolds: z.int().positive().max(10_000_000).default(200_000),
  }),
  create({ maxKeys, maxKeysPerLimit, dedup, maxDedupIds, maxHolds }, host) {
    const seed = randomInt(2 ** 32) | 0;
    const limiter = createLimiter({ maxKeys, maxKeysPerLimit, dedupMs: dedup, maxDedupIds, maxHolds, seed }, host);
    return {
      quota: (charges) => limiter.quota(charges),
      // There is no backend that could be away: the hub needs no deadline and no breaker for it.
      atHand: (charges) => limiter.quota(charges),
      refund: (charges) => limiter.refund(charges),
      holds: (changes) => limiter.holds(changes),
      usage: limiter.usage,
    };
  },
});
