import type { Accept } from "./accept.ts";
import { Connection, type Shared, type Tally } from "./connection.ts";
import type { Prepared } from "./prepared.ts";

/** Where calls go and what they say. */
export interface LoadOptions {
  /** `HOST:PORT` of a gRPC server without TLS. */
  readonly address: string;
  /** Calls to send, over and over, in this order. */
  readonly messages: readonly Prepared[];
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly inFlight: number;
  readonly accept: Accept;
}

/** A load over several connections: calls are sent as long as it runs, each answer makes room for the next call. */
export interface Load {
  readonly tally: Tally;
  /** Sends calls for so many milliseconds. What is in flight at the end is answered but no longer counted. */
  run(ms: number): Promise<{ answered: number; failed: number; seconds: number }>;
  /** Sends every message once. */
  runOnce(): Promise<void>;
  /** Sends calls one by one on one connection and takes the time of each, in microseconds. */
  runAlone(ms: number): Promise<Float64Array>;
  close(): void;
}

/** How long the last answers of a run may take. */
const patienceMs = 10_000;

export async function openLoad(options: LoadOptions): Promise<Load> {
  const tally: Tally = { answered: 0, failed: 0, failure: undefined };
  let next = 0;
  let fault: Error | undefined;
  let settle: (() => void) | undefined;
  const state: Shared = {
    address: options.address,
    accept: options.accept,
    tally,
    budget: 0,
    take: () => options.messages[next++ % options.messages.length]!,
    idle() {
      if (connections.every((connection) => connection.inFlight === 0)) settle?.();
    },
    fail(error) {
      fault ??= error;
      settle?.();
    },
  };
  const open = () => Connection.open(state);
  const connections: Connection[] = [];
  while (connections.length < options.connections) connections.push(await open());

  /** Lets connections send as `state.budget` allows, until nothing is in flight any more. */
  async function drain(among: number, inFlight: number): Promise<void> {
    if (fault !== undefined) throw fault;
    for (const [i, connection] of connections.entries()) {
      if (!connection.spent) continue;
      connection.close();
      connections[i] = await open();
    }
    await new Promise<void>((resolve) => {
      settle = resolve;
      for (const connection of connections.slice(0, among)) connection.start(inFlight);
      state.idle();
    });
    settle = undefined;
    if (fault !== undefined) throw fault;
  }

  return {
    tally,
    async run(ms) {
      state.budget = Infinity;
      const before = { ...tally };
      const start = process.hrtime.bigint();
      let result = { answered: 0, failed: 0, seconds: 0 };
      let timer = setTimeout(() => {
        const seconds = Number(process.hrtime.bigint() - start) / 1e9;
        result = { answered: tally.answered - before.answered, failed: tally.failed - before.failed, seconds };
        state.budget = 0;
        timer = setTimeout(() => {
          const left = connections.map(String).join("; ");
          state.fail(new Error(`${options.address} did not answer all calls within ${patienceMs} ms: ${left}`));
        }, patienceMs);
      }, ms);
      try {
        await drain(connections.length, options.inFlight);
      } finally {
        clearTimeout(timer);
      }
      return result;
    },
    async runOnce() {
      state.budget = options.messages.length;
      await drain(connections.length, options.inFlight);
    },
    async runAlone(ms) {
      const times: number[] = [];
      const end = performance.now() + ms;
      while (performance.now() < end) {
        state.budget = 1;
        const start = performance.now();
        await drain(1, 1);
        times.push((performance.now() - start) * 1000);
      }
      return Float64Array.from(times).sort();
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}
