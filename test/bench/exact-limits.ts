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
import { median } from "./figures.ts";
import { secondsWithoutCore } from "./process-stat.ts";
import { seeded } from "./random.ts";
import { cores } from "./server-process.ts";

export interface ExactLimits {
  /** Decisions in a second, the median of the slices. */
  readonly perSecond: number;
  /** The same script with the same keys, from prepared bytes, over a socket whose answers are only counted. */
  readonly rawPerSecond: number;
  /** The median over pairs of slices of the one by the other. */
  readonly share: number;
  /** At half of that load: how long a decision takes from when it is due, in milliseconds; the median of the slices. */
  readonly p99Ms: number;
  /** The same over the bare socket, at half of what went through there. */
  readonly rawP99Ms: number;
  /** The share of that time in which this process and Redis, on average, were ready to run and had no core: others had it. */
  readonly waited: number | undefined;
}

const keyPrefix = "13:edge/per-userb1000(4:user)";
const limit: Limit = {
  ...{ id: "edge/per-user", algorithm: "token-bucket", amount: 1e9, windowMs: 1000, burst: 1e9 },
  keyPrefix,
};
const sliceMs = 700;
const latencySliceMs = 500;
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

/** Calls `onAnswer` for each answer on a bare socket, in turn; answers a function that sends so many commands in one write. */
function overSocket(socket: Socket, onAnswer: () => void): { send(count: number): void; end(): void } {
  const onData = (bytes: Buffer): void => {
    if (bytes[0] === 0x2d) throw new Error(bytes.toString());
    // An answer begins with the count of its numbers, and holds no other asterisk.
    for (const byte of bytes) if (byte === 0x2a) onAnswer();
  };
  socket.on("data", onData);
  return {
    send(count) {
      const batch: Buffer[] = [];
      for (let i = 0; i < count; i++) batch.push(frames[next++ % frames.length]!);
      socket.write(Buffer.concat(batch));
    },
    end: () => void socket.off("data", onData),
  };
}

/** The same over a bare socket: what is answered in one turn is followed by as many commands in one write. */
async function raw(socket: Socket): Promise<number> {
  const start = performance.now();
  let underWay = inFlight;
  let done = 0;
  await new Promise<void>((resolve) => {
    let came = 0;
    const { send, end } = overSocket(socket, () => {
      done++;
      if (came++ === 0) queueMicrotask(refill);
    });
    const refill = (): void => {
      const count = performance.now() - start < sliceMs ? came : 0;
      underWay += count - came;
      came = 0;
      if (count > 0) send(count);
      if (underWay > 0) return;
      end();
      resolve();
    };
    send(inFlight);
  });
  return (done * 1000) / (performance.now() - start);
}

/** Begins so many decisions. Each answer is told by a call, in the order in which they began. */
type Begin = (count: number, onAnswer: () => void) => void;

const beginOurs: Begin = (count, onAnswer) => {
  for (let i = 0; i < count; i++) void decide().then(onAnswer);
};

/**
 * The 99th percentile of how long decisions take that begin as they fall due, so many in a second, whatever becomes of
 * those before them. Each counts from when it was due, so one that begins late hides nothing.
 */
async function p99At(perSecond: number, begin: Begin): Promise<number> {
  const gapMs = 1000 / perSecond;
  const times = new Float64Array(Math.floor(latencySliceMs / gapMs));
  const start = performance.now();
  let begun = 0;
  let done = 0;
  await new Promise<void>((resolve) => {
    const onAnswer = (): void => {
      times[done] = performance.now() - (start + done * gapMs);
      if (++done === times.length) resolve();
    };
    const beginDue = (): void => {
      const due = Math.min(times.length, Math.floor((performance.now() - start) / gapMs) + 1);
      if (due > begun) begin(due - begun, onAnswer);
      begun = due;
      // Timers are too coarse for a plan of fractions of a millisecond.
      if (begun < times.length) setImmediate(beginDue);
    };
    beginDue();
  });
  return times.sort()[Math.floor(times.length * 0.99)]!;
}

const socket = connect({ port: server.port, host: "127.0.0.1", noDelay: true });
await ours();
await raw(socket);
const [mine, theirs] = [[] as number[], [] as number[]];
for (let i = 0; i < slices; i++) {
  mine.push(await ours());
  theirs.push(await raw(socket));
}
const [perSecond, rawPerSecond] = [median(mine), median(theirs)];

const pids = [process.pid, server.process.pid!];
const waitedSeconds = (): number | undefined =>
  pids.reduce<number | undefined>((sum, pid) => {
    const seconds = secondsWithoutCore(pid);
    return sum === undefined || seconds === undefined ? undefined : sum + seconds;
  }, 0);
const [p99s, rawP99s] = [[] as number[], [] as number[]];
let waited: number | undefined = 0;
let answered = (): void => undefined;
const bare = overSocket(socket, () => answered());
const beginRaw: Begin = (count, onAnswer) => {
  answered = onAnswer;
  bare.send(count);
};
for (let i = 0; i < slices; i++) {
  const before = waitedSeconds();
  p99s.push(await p99At(perSecond / 2, beginOurs));
  const after = waitedSeconds();
  waited = waited === undefined || before === undefined || after === undefined ? undefined : waited + after - before;
  rawP99s.push(await p99At(rawPerSecond / 2, beginRaw));
}
await instance.close?.();
await server.kill();
process.stdout.write(
  JSON.stringify({
    perSecond,
    rawPerSecond,
    share: median(mine.map((value, i) => value / theirs[i]!)),
    p99Ms: median(p99s),
    rawP99Ms: median(rawP99s),
    waited: waited === undefined ? undefined : (waited * 1000) / (pids.length * slices * latencySliceMs),
  } satisfies ExactLimits),
);
process.exit();
