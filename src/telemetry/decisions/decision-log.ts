import type { Settings } from "../../policy/config/settings.ts";
import { type JsonValue, type LogEntry, refusalCodes } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { ExportQueue } from "../queues/queue.ts";
import type { RecentRefusals } from "./recent-refusals.ts";

/** What a log of decisions needs of one. */
export interface NotedDecision {
  readonly id: string;
  readonly version: string;
  readonly allowed: boolean;
  readonly code: number;
  readonly message: string;
  readonly rules: readonly string[];
  readonly observed: readonly string[];
  readonly limits: readonly NotedLimit[];
  readonly validForMs?: number;
}

export interface NotedLimit {
  readonly rule: string;
  readonly allowed: boolean;
  readonly amount: number;
  readonly windowMs: number;
  readonly remaining: number;
  readonly resetMs: number;
  readonly degraded?: boolean;
}

/** How long a decision took, in milliseconds, and the adapters that it asked, in the order in which they answered. */
export interface Timing {
  readonly tookMs: number;
  readonly adapters: readonly AdapterTiming[];
}

export interface AdapterTiming {
  readonly adapter: string;
  readonly capability: string;
  readonly tookMs: number;
}

/** A decision as it is logged and shown: JSON, secrets masked. */
export type DecisionRecord = Readonly<Record<string, JsonValue>>;

export interface DecisionLogOptions {
  readonly settings: Settings["telemetry"]["decisions"];
  /** Where records go; left out: nowhere. */
  readonly queue?: ExportQueue<LogEntry> | undefined;
  readonly recent: RecentRefusals;
  readonly observer: Observer;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** Takes note of decisions: those that are logged, and the last refusals. */
export interface DecisionLog {
  /** Whether decisions are logged: then how long they took must be known. */
  readonly logs: boolean;
  /** Names of attributes and keys that are shown whatever they are called. */
  readonly reveal: ReadonlySet<string>;
  /**
   * Notes one decision, if it is among those to be noted. The bag is read before this returns. Never throws.
   *
   * @param attributes what the decision rests on; called only where the decision is noted
   * @param timing left out where it was not measured
   */
  note(
    door: string,
    caller: string,
    decision: NotedDecision,
    timing: Timing | undefined,
    attributes: () => JsonValue,
  ): void;
}

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(refusalCodes).map(([name, code]) => [code, name] as const),
);

export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { settings, queue, recent, observer, now, random } = options;
  const { sample, refused } = settings;
  return {
    logs: queue !== undefined,
    reveal: settings.reveal,
    note(door, caller, decision, timing, attributes) {
      const share = decision.allowed ? sample : refused;
      const isLogged = queue !== undefined && share > 0 && (share >= 1 || random() < share);
      const timeMs = isLogged || !decision.allowed ? now() : 0;
      const isRecent = !decision.allowed && recent.takes(timeMs);
      if (!isLogged && !isRecent) return;
      const record = recordOf(door, caller, decision, timing, attributes());
      if (isRecent) recent.add({ time: new Date(timeMs).toISOString(), ...record });
      if (!isLogged) return;
      if (queue.room > 0) queue.push({ name: "decision", timeMs, severity: "info", fields: record });
      else observer.dropped("decision", "queue_full", 1);
    },
  };
}

function recordOf(
  door: string,
  caller: string,
  decision: NotedDecision,
  timing: Timing | undefined,
  attributes: JsonValue,
): DecisionRecord {
  const { id, version, allowed, code, message, rules, observed, limits, validForMs } = decision;
  return {
    id,
    door,
    caller,
    allowed,
    code: codeNames.get(code) ?? (code === 0 ? "ok" : String(code)),
    ...(message === "" ? {} : { message }),
    rules,
    ...(observed.length === 0 ? {} : { observed }),
    ...(limits.length === 0 ? {} : { limits: limits.map(limitRecord) }),
    attributes,
    ...(validForMs === undefined ? {} : { valid_for_ms: validForMs }),
    ...(timing === undefined ? {} : { took_ms: toMicroseconds(timing.tookMs) }),
    ...(timing === undefined || timing.adapters.length === 0 ? {} : { adapters: timing.adapters.map(adapterRecord) }),
    version,
  };
}

function adapterRecord({ adapter, capability, tookMs }: AdapterTiming): JsonValue {
  return { adapter, capability, took_ms: toMicroseconds(tookMs) };
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function limitRecord({ rule, allowed, amount, windowMs, remaining, resetMs, degraded }: NotedLimit): JsonValue {
  return {
    rule,
    allowed,
    amount,
    window_ms: windowMs,
    remaining,
    reset_ms: resetMs,
    ...(degraded === true ? { degraded } : {}),
  };
}
