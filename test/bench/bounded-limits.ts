/** Charges limits of `consistency: bounded` beside limits in memory, and prints what that took as JSON. Run by `limits.ts`. */
import memory from "../../adapters/memory/index.ts";
import redis from "../../adapters/redis/index.ts";
import type { Charge, Grant, Instance, Limit } from "../../src/sdk/index.ts";
import { fakeCall, fakeHost, makeInstance, type FakeHost } from "../../src/sdk/testing.ts";
import { startRedis } from "../adapters/redis-server.ts";
import { seeded } from "./random.ts";

export interface BoundedLimits {
  /** CPU of a decision in nanoseconds, over the same 100 keys. */
  readonly boundedNs: number;
  readonly memoryNs: number;
  /** The share of decisions that had to wait for Redis. */
  readonly waited: number;
}

const keyPrefix = "13:edge/per-userb1000(4:user)";
const plain: Limit = {
  ...{ id: "edge/per-user", algorithm: "token-bucket", amount: 1e9, windowMs: 1000, burst: 1e9 },
  keyPrefix,
};
const limits = { memory: plain, bounded: { ...plain, consistency: "bounded" } } as const;
const keys = 100;
const decisions = 10_000;
const rounds = 200;
const call = fakeCall();

/** A host whose clocks go. */
function livingHost(): FakeHost {
  return {
    ...fakeHost(),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    every(ms, job) {
      setInterval(() => void job(), ms).unref();
    },
  };
}

function keyOf(user: number): string {
  return Buffer.from(`${keyPrefix}s12:user-${String(user).padStart(7, "0")}`, "latin1").toString("latin1");
}

const random = seeded(1);
const asked = Array.from({ length: decisions }, () => keyOf(random.below(keys)));
let waited = 0;

function decide(instance: Instance, limit: Limit, key: string): void | Promise<void> {
  const charges: readonly Charge[] = [{ limit, key, amount: 1, bestEffort: false }];
  const answer = instance.atHand?.(charges) ?? instance.quota!(charges, call);
  if (answer instanceof Promise) {
    waited++;
    return answer.then(expectGranted);
  }
  expectGranted(answer);
}

function expectGranted([grant]: readonly Grant[]): void {
  if (!grant!.allowed) throw new Error("a charge was refused");
}

/** CPU in milliseconds of a round of decisions, with what happens behind them. */
async function round(instance: Instance, limit: Limit): Promise<number> {
  const before = process.cpuUsage();
  for (const key of asked) {
    const waiting = decide(instance, limit, key);
    if (waiting !== undefined) await waiting;
  }
  await new Promise((resolve) => setImmediate(resolve));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const server = await startRedis();
if ("gap" in server) throw new Error(server.gap);
const url = `redis://127.0.0.1:${server.port}`;
const inMemory = (await makeInstance(memory, {}, livingHost())) as Instance;
const inRedis = (await makeInstance(redis, { url, timeout: "5s" }, livingHost())) as Instance;

const times = { memory: [] as number[], bounded: [] as number[] };
for (let i = -rounds / 4; i < rounds; i++) {
  const [m, b] = [await round(inMemory, limits.memory), await round(inRedis, limits.bounded)];
  if (i === 0) waited = 0;
  if (i < 0) continue;
  times.memory.push(m);
  times.bounded.push(b);
}
// All of it, not the usual round: what is asked ahead belongs to the price.
const perDecision = (all: readonly number[]): number =>
  (all.reduce((sum, ms) => sum + ms, 0) * 1e6) / (rounds * decisions);
await inRedis.close?.();
await server.kill();
process.stdout.write(
  JSON.stringify({
    boundedNs: perDecision(times.bounded),
    memoryNs: perDecision(times.memory),
    waited: waited / (rounds * decisions),
  } satisfies BoundedLimits),
);
process.exit();
