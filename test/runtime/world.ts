import { z } from "zod";
import { builtinAdapters } from "../../adapters/index.ts";
import type { Bag } from "../../src/attributes/bag.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import type { Asked, Decision } from "../../src/runtime/decision.ts";
import type { HoldAsked } from "../../src/runtime/limits/holds.ts";
import type { DescriptorAsked, RateLimitAsked, RateLimitDecision } from "../../src/runtime/rate-limit-decision.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Runtime, RuntimeOptions, Serving } from "../../src/runtime/runtime.ts";
import { defineAdapter } from "../../src/sdk/index.ts";
import type { Adapter, Instance, Log } from "../../src/sdk/index.ts";
import type { Observer } from "../../src/util/observer.ts";
import type { Timers } from "../../src/util/timers.ts";
import { bagOf, recordOf, type Attributes } from "../attributes/bag-of.ts";

/** Timers over a clock that is moved by hand. */
export interface Clock extends Timers {
  now(): number;
  /** Moves time on; jobs that fall due run in order, each followed by what it resolves. */
  advance(ms: number): Promise<void>;
  readonly waiting: number;
}

export function fakeClock(): Clock {
  let time = 1_767_225_600_000;
  const jobs = new Set<{ due: number; job: () => void }>();
  return {
    now: () => time,
    after(ms, job) {
      const entry = { due: time + ms, job };
      jobs.add(entry);
      return () => void jobs.delete(entry);
    },
    async advance(ms) {
      const end = time + ms;
      for (;;) {
        await settled();
        const next = [...jobs].sort((a, b) => a.due - b.due)[0];
        if (next === undefined || next.due > end) break;
        jobs.delete(next);
        time = Math.max(time, next.due);
        next.job();
      }
      time = end;
      await settled();
    },
    get waiting() {
      return jobs.size;
    },
  };
}

/** Lets everything that is resolved run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((done) => setImmediate(done));
}

/** An observer that writes down what it is told, but for times. */
export function recorder(): { observer: Observer; told: string[] } {
  const told: string[] = [];
  const observer: Observer = {
    call: () => undefined,
    decision: (allowed) => told.push(`decision ${allowed}`),
    refusal: (rule, mode) => told.push(`refusal ${rule} ${mode}`),
    ruleFault: (rule, part, kind) => told.push(`${kind} ${rule} ${part}`),
    limitDegraded: (rule, reason) => told.push(`degraded ${rule} ${reason}`),
    adapterCall: (adapter, capability, outcome) => told.push(`call ${adapter} ${capability} ${outcome}`),
    quotaUse: (rule, allowed, denied) => told.push(`quota ${rule} ${allowed} ${denied}`),
    adapterEvent: (adapter, event, by) => told.push(`event ${adapter} ${event} ${by}`),
    dropped: (what, reason, by) => told.push(`dropped ${what} ${reason} ${by}`),
    callerRefused: () => undefined,
    reload: () => undefined,
  };
  return { observer, told };
}

export function logLines(): { log: Log; lines: { level: string; fields: object; message: string }[] } {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}

const anything = z.looseObject({});

/** An adapter made of the methods of its only instance. */
export function stub(
  name: string,
  methods: Partial<Instance>,
  input: Record<string, "any" | "int64" | "ip" | "duration" | "timestamp" | "string_map"> = { "value?": "any" },
): Adapter {
  const provides = (["check", "quota", "holds", "metrics", "logs", "table"] as const).filter(
    (capability) => capability in methods,
  );
  return { name, provides, input, config: anything, create: () => methods };
}

const sinks = [
  defineAdapter({
    name: "prometheus",
    provides: ["metrics"],
    config: anything,
    create: () => ({ metrics: () => ({ record: () => undefined }) }),
  }),
  defineAdapter({ name: "log", provides: ["logs"], config: anything, create: () => ({ logs: () => undefined }) }),
];

/** Compiles policy texts, with these adapters beside the built-in ones. */
export async function compiled(
  files: string | readonly string[],
  adapters: readonly Adapter[] = [],
  config?: string,
): Promise<Snapshot> {
  const named =
    config ??
    (adapters.length === 0 ? undefined : `adapters: { ${adapters.map(({ name }) => `${name}: {}`).join(", ")} }`);
  const known = [builtinAdapters.get("memory")!, builtinAdapters.get("list")!, ...sinks, ...adapters];
  const result = await compilePolicies({
    files: (typeof files === "string" ? [files] : files).map((text, i) => ({ path: `${i}.yaml`, text })),
    ...(named === undefined ? {} : { config: { path: "weir.yaml", text: named } }),
    adapters: new Map(known.map((adapter) => [adapter.name, adapter])),
    folder: "/",
  });
  if ("problems" in result)
    throw new Error(result.problems.map(({ message, line }) => `${line}: ${message}`).join("\n"));
  return result.snapshot;
}

/** What a decision says was read: `a`, `-a` when it was absent, `m[k]`, `-m[k]`. */
export function readsOf(bag: Bag, decision: Pick<Decision, "reads">): string[] {
  const names: string[] = [];
  for (const { index, name, key } of bag.layout.slots) {
    if (((decision.reads.slots[index >>> 5]! >>> (index & 31)) & 1) === 0) continue;
    names.push(`${bag.peek(index) === undefined ? "-" : ""}${name}${key === undefined ? "" : `[${key}]`}`);
  }
  return names.sort();
}

export interface World {
  readonly snapshot: Snapshot;
  readonly runtime: Runtime<undefined>;
  readonly clock: Clock;
  readonly told: string[];
  readonly lines: { level: string; fields: object; message: string }[];
  readonly log: Log;
  check(attributes: Attributes, asked?: Asked): Promise<Decision>;
  /** As `check`; fails when the answer is a promise. */
  checkNow(attributes: Attributes, asked?: Asked): Decision;
  /** Judges descriptors as a rate limit door does: attributes, with what each asks beside them. */
  rateLimit(
    descriptors: readonly (readonly [attributes: Attributes, asked?: DescriptorAsked])[],
    asked?: RateLimitAsked,
  ): RateLimitDecision | Promise<RateLimitDecision>;
  /** As `rateLimit`; fails when the answer is a promise. */
  rateLimitNow(...args: Parameters<World["rateLimit"]>): RateLimitDecision;
  bag(attributes: Attributes): Bag;
  /** Does what a caller wants with what a decision took; answers as `rule units`. */
  hold(asked: HoldAsked): Promise<string[]>;
  /** A report of a request came. */
  end(attributes: Attributes): void;
}

/** A runtime that serves policies, over a clock that is moved by hand. */
export async function world(
  files: string | readonly string[],
  adapters: readonly Adapter[] = [],
  options: Partial<RuntimeOptions<undefined>> & { readonly config?: string } = {},
): Promise<World> {
  const snapshot = await compiled(files, adapters, options.config);
  const clock = fakeClock();
  const { observer, told } = recorder();
  const { log, lines } = logLines();
  let n = 0;
  const runtime = createRuntime<undefined>({
    fallback: builtinAdapters.get("memory")!,
    observer,
    log,
    now: () => clock.now(),
    monotonic: () => clock.now(),
    random: (bytes) => Uint8Array.from({ length: bytes }, () => n++),
    timers: clock,
    prepare: () => undefined,
    retire: () => undefined,
    ...options,
  });
  const problems = await runtime.activate(snapshot);
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join("\n"));
  const bag = (attributes: Attributes): Bag => bagOf(snapshot, attributes);
  const check = (attributes: Attributes, asked: Asked = {}): Decision | Promise<Decision> => {
    const serving: Serving<undefined> = runtime.acquire();
    const decision = serving.check(bag(attributes), asked);
    if (decision instanceof Promise) return decision.finally(() => serving.release());
    serving.release();
    return decision;
  };
  const rateLimit: World["rateLimit"] = (descriptors, asked = {}) => {
    const serving = runtime.acquire();
    const judgement = serving.rateLimit(asked);
    for (const [attributes, each = {}] of descriptors) judgement.add(bag(attributes), each);
    const decision = judgement.decide();
    if (decision instanceof Promise) return decision.finally(() => serving.release());
    serving.release();
    return decision;
  };
  return {
    snapshot,
    runtime,
    clock,
    rateLimit,
    rateLimitNow(...args) {
      const decision = rateLimit(...args);
      if (decision instanceof Promise) throw new Error("expected an answer at once");
      return decision;
    },
    told,
    lines,
    log,
    bag,
    async hold(asked) {
      const serving = runtime.acquire();
      const answers = await serving.holds.change(asked).finally(() => serving.release());
      return answers.map(({ rule, units }) => `${rule} ${units}`);
    },
    end(attributes) {
      const serving = runtime.acquire();
      serving.holds.end?.(recordOf(snapshot, attributes));
      serving.release();
    },
    check: async (attributes, asked) => check(attributes, asked),
    checkNow(attributes, asked) {
      const decision = check(attributes, asked);
      if (decision instanceof Promise) throw new Error("expected an answer at once");
      return decision;
    },
  };
}
