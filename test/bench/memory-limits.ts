/** Charges limits kept in memory, without a door, and prints what that took as JSON. Run by `limits.ts`. */
import memory from "../../adapters/memory/index.ts";
import type { Charge, Grant, Limit } from "../../src/sdk/index.ts";
import { fakeCall, fakeHost, makeInstance } from "../../src/sdk/testing.ts";
import { seeded } from "./random.ts";

export interface MemoryLimits {
  /** CPU of a decision in nanoseconds: over 100 keys, over 10,000 and over all. */
  readonly hotNs: number;
  readonly variedNs: number;
  readonly allNs: number;
  /** What the process grew by with a million keys. */
  readonly bytes: number;
  /** The most CPU of a step of 100 new keys: while the table grew, and while old keys went for new ones. In milliseconds. */
  readonly growMs: number;
  readonly cleanUpMs: number;
}

const keyPrefix = "13:edge/per-userb60000(4:user)";
const hour = 3_600_000;
const limit: Limit = {
  id: "edge/per-user",
  algorithm: "token-bucket",
  amount: 1000,
  windowMs: hour,
  burst: 1000,
  keyPrefix,
};
const million = 1_000_000;
const step = 100;
const call = fakeCall();
const host = fakeHost();
const { quota } = await makeInstance(memory, { maxKeys: million, maxKeysPerLimit: million }, host);

/** A key in one piece, as the hub makes it; another string each time. */
function keyOf(user: number): string {
  return Buffer.from(`${keyPrefix}s12:user-${String(user).padStart(7, "0")}`, "latin1").toString("latin1");
}

function take(key: string): boolean {
  const charge: Charge = { limit, key, amount: 1, bestEffort: false };
  return (quota([charge], call) as readonly Grant[])[0]!.allowed;
}

/** CPU in milliseconds that the process has had, with all its threads. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Charges keys that nobody has used yet and answers the most that a step of them cost. */
function takeNew(from: number): number {
  let worst = 0;
  for (let user = from; user < from + million; user += step) {
    const before = cpuMs();
    for (let i = 0; i < step; i++) if (!take(keyOf(user + i))) throw new Error("a new key is refused");
    worst = Math.max(worst, cpuMs() - before);
  }
  return worst;
}

/** CPU of a decision in nanoseconds: the fifth percentile over short runs. */
function decisionNs(users: number): number {
  const random = seeded(1);
  const keys = Array.from({ length: 20_000 }, () => keyOf(random.below(users)));
  const times = Array.from({ length: 60 }, () => {
    const before = cpuMs();
    for (const key of keys) take(key);
    host.setTime(host.now() + hour);
    return ((cpuMs() - before) * 1e6) / keys.length;
  });
  return times.sort((a, b) => a - b)[3]!;
}

const before = process.memoryUsage.rss();
const growMs = takeNew(0);
const bytes = process.memoryUsage.rss() - before;
const [hotNs, variedNs, allNs] = [decisionNs(100), decisionNs(10_000), decisionNs(million)];
// All keys are as good as new after an hour: new ones take their places.
host.setTime(host.now() + 2 * hour);
const cleanUpMs = takeNew(million);
process.stdout.write(JSON.stringify({ hotNs, variedNs, allNs, bytes, growMs, cleanUpMs } satisfies MemoryLimits));
