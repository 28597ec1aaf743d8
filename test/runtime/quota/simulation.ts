import type { LimitRule } from "../../../src/policy/snapshot.ts";
import { Apportioner, type QuotaStores } from "../../../src/runtime/quota/apportioner.ts";
import { budgetOfTokens, type Assignment } from "../../../src/runtime/quota/assignment.ts";
import type { BucketLimit } from "../../../src/runtime/quota/bucket-limits.ts";
import type { ProxyBucket } from "../../../src/runtime/quota/proxy-bucket.ts";
import type { Budget, Limit, Share, Stake } from "../../../src/sdk/index.ts";
import { silentObserver } from "../../bench/silent.ts";

/** Numbers from a seed (mulberry32): the same seed gives the same schedule. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let n = Math.imul(state ^ (state >>> 15), state | 1);
    n ^= n + Math.imul(n ^ (n >>> 7), n | 61);
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * What a proxy asks for: requests a second, as many as it can get, or none while it says that it needs many: so it keeps
 * what it was assigned for the worst moment.
 */
export type Load = number | "greedy" | "hoard";

/**
 * A proxy as Envoy is: it keeps to the last assignment that it has heard of, each other one begins with a full bucket,
 * the same again only lasts longer, and one that has run out lets nothing pass. It has one bucket of each limit.
 */
export class SimulatedProxy {
  load: Load;
  /** What passed since the last report, and what did not. */
  allowed = 0;
  denied = 0;
  passed = 0;
  reportedMs: number;
  #assignment: Assignment | undefined;
  #expiresMs = 0;
  #level = 0;
  #filledMs = 0;
  #owed = 0;

  constructor(load: Load, nowMs: number) {
    this.load = load;
    this.reportedMs = nowMs;
  }

  hear(assignment: Assignment, ttlMs: number, nowMs: number): void {
    this.#expire(nowMs);
    const same = JSON.stringify(assignment) === JSON.stringify(this.#assignment);
    this.#assignment = assignment;
    this.#expiresMs = nowMs + ttlMs;
    if (assignment.kind !== "tokens" || same) return;
    this.#level = assignment.maxTokens;
    this.#filledMs = nowMs;
  }

  /** The rate that it may use now. */
  rate(nowMs: number): number {
    this.#expire(nowMs);
    return this.#assignment?.kind === "tokens" ? budgetOfTokens(this.#assignment).rate : 0;
  }

  /** Lets pass what it may of what was asked for in some time. Answers how much. */
  pass(elapsedMs: number, nowMs: number): number {
    this.#expire(nowMs);
    if (this.load === "hoard") {
      this.denied += 1e6;
      return 0;
    }
    this.#owed += this.load === "greedy" ? 1e9 : (this.load * elapsedMs) / 1000;
    const wanted = Math.floor(this.#owed);
    this.#owed -= wanted;
    let passes = 0;
    if (this.#assignment?.kind === "tokens") {
      const { rate, burst } = budgetOfTokens(this.#assignment);
      this.#level = Math.min(burst, this.#level + ((nowMs - this.#filledMs) / 1000) * rate);
      this.#filledMs = nowMs;
      passes = Math.min(wanted, Math.floor(this.#level + 1e-9));
      this.#level -= passes;
    }
    this.allowed += passes;
    this.denied += Math.min(wanted - passes, 1e6);
    this.passed += passes;
    return passes;
  }

  #expire(nowMs: number): void {
    if (nowMs >= this.#expiresMs) this.#assignment = undefined;
  }
}

/** What all proxies let pass, held against a budget: it is kept if a bucket of that size never runs dry. */
export class Meter {
  readonly budget: Budget;
  /** The least that was ever left; below 0 the budget was not kept. */
  least: number;
  passed = 0;
  #level: number;
  #atMs: number;

  constructor(budget: Budget, nowMs: number) {
    this.budget = budget;
    this.least = this.#level = budget.burst;
    this.#atMs = nowMs;
  }

  pass(units: number, nowMs: number): void {
    const { rate, burst } = this.budget;
    this.#level = Math.min(burst, this.#level + ((nowMs - this.#atMs) / 1000) * rate) - units;
    this.#atMs = nowMs;
    this.passed += units;
    this.least = Math.min(this.least, this.#level);
  }
}

/** A stream from a proxy to a hub. What is sent comes in order, after some time. */
interface Stream {
  readonly proxy: SimulatedProxy;
  readonly hub: SimulatedHub;
  readonly bucket: ProxyBucket;
  readonly down: { dueMs: number; assignment: Assignment }[];
  /** When the hub is told that what it sent was read. */
  readonly read: number[];
  readonly up: { dueMs: number; allowed: number; denied: number; elapsedMs: number }[];
  /** Whether something was sent that is not known to be read. */
  unread: boolean;
  /** Whether messages come through no more. */
  isCut: boolean;
}

export interface SimulatedHub {
  readonly apportioner: Apportioner;
  isDown: boolean;
  nextTickMs: number;
}

export interface Scene {
  readonly random: () => number;
  readonly budget: Budget;
  readonly hubs: number;
  /** Where hubs get their shares; left out: each is alone. */
  readonly store?: (nowMs: () => number) => QuotaStores;
  readonly ttlMs?: number;
  readonly cost?: number;
  /** The longest that a message takes. Default: what the hub reckons with. */
  readonly delayMs?: number;
  readonly reportMs?: number;
  /** Whether a hub that comes in the place of another waits until what that one assigned has run out. */
  readonly holdsBack?: boolean;
}

/** Proxies and hubs on a clock that is moved by hand. */
export class Simulation {
  nowMs = 1_000_000;
  readonly hubs: SimulatedHub[] = [];
  readonly streams = new Set<Stream>();
  readonly proxies = new Set<SimulatedProxy>();
  readonly meter: Meter;
  readonly scene: Scene;
  readonly #limit: BucketLimit;
  readonly #stores: QuotaStores;
  #members = 0;

  constructor(scene: Scene) {
    this.scene = scene;
    const { budget, cost = 1 } = scene;
    this.meter = new Meter(budget, this.nowMs);
    const rule = { id: "p/l", via: "store", onError: "deny" } as LimitRule;
    const counted = { limit: {} as Limit, key: "k", keyPrefix: "" };
    this.#limit = { rule, counted, key: "k", budget, cost };
    this.#stores = scene.store?.(() => this.nowMs) ?? { isShared: () => false, apportion: () => [] };
    for (let i = 0; i < scene.hubs; i++) this.hubs.push(this.#hub());
  }

  #hub(): SimulatedHub {
    const apportioner = new Apportioner({
      member: `hub-${this.#members++}`,
      now: () => this.nowMs,
      observer: silentObserver,
      stores: this.#stores,
      ttlMs: this.scene.ttlMs ?? 4000,
      holdsBack: this.scene.holdsBack === true && this.#members > this.scene.hubs,
    });
    return { apportioner, isDown: false, nextTickMs: this.nowMs + this.scene.random() * 1000 };
  }

  /** A hub that is gone for good; another one comes in its place. Its streams break. */
  crash(hub: SimulatedHub): void {
    hub.isDown = true;
    for (const stream of this.streams) if (stream.hub === hub) this.streams.delete(stream);
    this.hubs[this.hubs.indexOf(hub)] = this.#hub();
  }

  join(proxy: SimulatedProxy, hub: SimulatedHub): Stream {
    this.proxies.add(proxy);
    const bucket = hub.apportioner.subscribe([this.#limit], "proxy");
    const stream: Stream = { proxy, hub, bucket, down: [], read: [], up: [], unread: false, isCut: false };
    this.streams.add(stream);
    this.#report(stream);
    return stream;
  }

  /** Ends a stream. The proxy goes on with what it has until that runs out. */
  leave(stream: Stream): void {
    this.streams.delete(stream);
    stream.hub.apportioner.leave(stream.bucket);
  }

  /** Whether a proxy has a stream. */
  streamOf(proxy: SimulatedProxy): Stream | undefined {
    for (const stream of this.streams) if (stream.proxy === proxy) return stream;
    return undefined;
  }

  step(ms: number): void {
    this.nowMs += ms;
    const now = this.nowMs;
    for (const stream of this.streams) {
      while (stream.down[0] !== undefined && stream.down[0].dueMs <= now) {
        const { dueMs, assignment } = stream.down.shift()!;
        stream.proxy.hear(assignment, stream.hub.apportioner.ttlMs, dueMs);
        if (!stream.isCut) stream.read.push(dueMs + this.#delay());
      }
    }
    for (const proxy of this.proxies) this.meter.pass(proxy.pass(ms, now) * (this.scene.cost ?? 1), now);
    for (const stream of this.streams) {
      if (now - stream.proxy.reportedMs >= (this.scene.reportMs ?? 5000)) this.#report(stream);
      while (stream.up[0] !== undefined && stream.up[0].dueMs <= now) {
        const use = stream.up.shift()!;
        const isFirst = !stream.bucket.hasReported;
        stream.hub.apportioner.report(stream.bucket, use);
        if (isFirst) this.#send(stream);
      }
    }
    for (const stream of this.streams) {
      if (stream.read[0] === undefined || stream.read[0] > now) continue;
      stream.read.shift();
      stream.unread = false;
      stream.hub.apportioner.heard(stream.bucket);
      this.#send(stream);
    }
    for (const hub of this.hubs) {
      if (now < hub.nextTickMs) continue;
      hub.nextTickMs = now + 1000;
      void hub.apportioner.round();
      for (const stream of this.streams) if (stream.hub === hub) this.#send(stream);
    }
  }

  #report(stream: Stream): void {
    const { proxy } = stream;
    const elapsedMs = Math.floor((this.nowMs - proxy.reportedMs) / 1000) * 1000;
    proxy.reportedMs = this.nowMs;
    // What passed before this stream was is known to have been paid for.
    const allowed = stream.bucket.hasReported || stream.up.length > 0 ? proxy.allowed : 0;
    if (!stream.isCut) stream.up.push({ dueMs: this.#due(stream.up), allowed, denied: proxy.denied, elapsedMs });
    proxy.allowed = proxy.denied = 0;
  }

  #send(stream: Stream): void {
    if (stream.unread) return;
    const assignment = stream.hub.apportioner.assign(stream.bucket);
    if (assignment === undefined) return;
    stream.unread = true;
    if (stream.isCut) return;
    stream.down.push({ dueMs: this.#due(stream.down), assignment });
  }

  #due(queue: readonly { dueMs: number }[]): number {
    return Math.max(this.nowMs + this.#delay(), queue.at(-1)?.dueMs ?? 0);
  }

  #delay(): number {
    const { graceMs } = this.hubs[0]!.apportioner;
    return this.scene.random() * (this.scene.delayMs ?? graceMs * 0.95);
  }
}

export type { Share, Stake, Stream };
