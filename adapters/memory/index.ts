import { randomInt } from "node:crypto";
import { defineAdapter, parseDuration } from "weir/sdk";
import { z } from "zod";
import { createLimiter } from "./limiter.ts";

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: "custom", message: `expected a duration such as 10s, got ${JSON.stringify(text)}` });
  return z.NEVER;
});

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
    dedup: duration.default(10_000),
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
      refund: (charges) => limiter.refund(charges),
      holds: (changes) => limiter.holds(changes),
      usage: limiter.usage,
    };
  },
});
