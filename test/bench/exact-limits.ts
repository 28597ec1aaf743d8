/**
 * Charges limits in Redis one by one beside the same script sent over a bare socket, and prints what came of it as JSON.
 * Run by `limits.ts`.
 */
import { spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import redis from "../../adapters/redis/index.ts";
import { recordsOf } from "../../adapters/redis/charge-record.ts";
import { takeScript } from "../../adapters/redis/take-script.ts";
import type { Charge, Instance, Limit } from "../../src/sdk/index.ts";
import { fakeCall, fakeHost, makeInstance } from "../../src/sdk/testing.ts";
import { startRedis } from "../adapters/redis-server.ts";
import { seeded } from "./random.ts";
import { cores } from "./server-process.ts";

export interface ExactLimits {
  /** Decisions in a second, the median of the slices. */
  readonly perSecond: number;
  /** The same script with the same keys, from prepared bytes, over a socket whose answers are only counted. */
  readonly rawPerSecond: number;
  /** The median over pairs of slices of the one by the other. */
  readonly share: number;
  /** At half of that load: how long a decision takes, in milliseconds. */
  readonly p99Ms: number;
}

const keyPrefix = "13:edge/per-userb1000(4:user)";
const limit: Limit = {
  ...{ id: "edge/per-user", algorithm: "token-bucket", amount: 1e9, windowMs: 1000, burst: 1e9 },
  keyPrefix,
};
const sliceMs = 700;
const slices = 9;
const inFlight = 256;

const random = seeded(1);
const charges = Array.from({ length: 10_000 }, (): readonly Charge[] => {
  const key = `${keyPrefix}s12:user-${String(random.below(1000)).padStart(7, "0")}`;
  return [{ limit, key, amount: 1, bestEffort: false }];
});

const server = await startRedis();
if ("gap" in server) throw new Error(server.gap);
// It was started on this process's core; its own is the other, where there are two.
spawnSync("taskset", ["-apc", String(cores.server), String(server.process.pid)]);
const url = `redis://127.0.0.1:${server.port}`;
const instance = (await makeInstance(redis, { url, timeout: "5s" }, fakeHost())) as Instance;
const call = fakeCall();

let next = 0;
async function decide(): Promise<void> {
  const [grant] = await instance.quota!(charges[next++ % charges.length]!, call);
  if (!grant!.allowed) throw new Error("a charge was refused");
}

/** Decisions in a second, so many at once. */
async function ours(): Promise<number> {
  const start = performance.now();
  const end = start + sliceMs;
  let done = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) {
        await decide();
        done++;
      }
    }),
  );
  return (done * 1000) / (performance.now() - start);
}

const sha = String(await server.client.script("LOAD", takeScript));
const bulk = (part: string | number | Buffer): Buffer => {
  const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part));
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]);
};
const frames = charges.map(([charge]) => {
  const key = `weir:{${charge!.key}}`;
  const record = recordsOf(["b".charCodeAt(0), 0, 0, 1, 1e9, 1000, 1e9, 1, 1]);
  const parts = ["EVALSHA", sha, 1, key, "", 10_000, record];
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...parts.map(bulk)]);
});

/** The same over a bare socket: what is answered in one read is followed by as many commands in one write. */
function raw(socket: Socket): Promise<number> {
  const start = performance.now();
  let sent = 0;
  let done = 0;
  const send = (count: number): void => {
    const batch: Buffer[] = [];
    for (let i = 0; i < count; i++) batch.push(frames[sent++ % frames.length]!);
    socket.write(Buffer.concat(batch));
  };
  return new Promise((resolve, reject) => {
    const onData = (bytes: Buffer): void => {
      let came = 0;
      // An answer begins with the count of its numbers, and holds no other asterisk.
      for (const byte of bytes) if (byte === 0x2a) came++;
      if (bytes[0] === 0x2d) reject(new Error(bytes.toString()));
      done += came;
      if (performance.now() - start < sliceMs) send(came);
      else if (done === sent) {
        socket.off("data", onData);
        resolve((done * 1000) / (performance.now() - start));
      }
    };
    socket.on("data", onData);
    send(inFlight);
  });
}

/** Times of decisions that begin as they fall due, so many in a second. */
async function timesAt(perSecond: number): Promise<readonly number[]> {
  const start = performance.now();
  const times: number[] = [];
  const pending: Promise<void>[] = [];
  let begun = 0;
  for (let now = 0; now < 3 * sliceMs; now = performance.now() - start) {
    for (; begun < (now * perSecond) / 1000; begun++) {
      const due = start + (begun * 1000) / perSecond;
      pending.push(decide().then(() => void times.push(performance.now() - due)));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(pending);
  return times.sort((a, b) => a - b);
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const socket = connect({ port: server.port, host: "127.0.0.1", noDelay: true });
await ours();
await raw(socket);
const [mine, theirs] = [[] as number[], [] as number[]];
for (let i = 0; i < slices; i++) {
  mine.push(await ours());
  theirs.push(await raw(socket));
}
const perSecond = median(mine);
const times = await timesAt(perSecond / 2);
await instance.close?.();
await server.kill();
process.stdout.write(
  JSON.stringify({
    perSecond,
    rawPerSecond: median(theirs),
    share: median(mine.map((value, i) => value / theirs[i]!)),
    p99Ms: times[Math.floor(times.length * 0.99)]!,
  } satisfies ExactLimits),
);
process.exit();
