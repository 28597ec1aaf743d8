import type { AtRisk } from "./risk.ts";

/** How a process ended: by its own word, or without one. */
export type End = "killed" | "stopped";

/** How much of what, for which adapter. */
export interface Amount {
  readonly what: string;
  readonly adapter: string;
  readonly count: number;
}

export interface LostAmount extends Amount {
  readonly end: End;
}

/** What a ledger says of the process that wrote it last, and of those before it. */
export interface LedgerState {
  /** When the process began, and when this was written, milliseconds since 1970. */
  readonly startedMs: number;
  readonly writtenMs: number;
  /** Whether the process has ended in order. */
  readonly hasStopped: boolean;
  readonly atRisk: readonly Amount[];
  /** What the processes before it lost, all together. */
  readonly lost: readonly LostAmount[];
  /** How many of them there were, by how they ended. */
  readonly ends: Readonly<Record<End, number>>;
}

const version = 1;
/** Stands for adapters of which there are too many to be told apart. */
const others = "other";

/** The state as bytes, `maxBytes` at most: where it would be more, the amounts of all adapters are added up. */
export function encodeState(state: LedgerState, maxBytes: number): Buffer {
  const whole = Buffer.from(JSON.stringify({ v: version, ...state }));
  if (whole.length <= maxBytes) return whole;
  const folded = { ...state, atRisk: sums(state.atRisk.map(folding)), lost: sums(state.lost.map(folding)) };
  return Buffer.from(JSON.stringify({ v: version, ...folded }));
}

function folding<T extends Amount>(amount: T): T {
  return { ...amount, adapter: others };
}

/** Reads what {@link encodeState} made. `undefined` for anything else. */
export function decodeState(bytes: Uint8Array): LedgerState | undefined {
  let state: unknown;
  try {
    state = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
  const { v, startedMs, writtenMs, hasStopped, atRisk, lost, ends } = (state ?? {}) as Record<string, unknown>;
  const { killed, stopped } = (ends ?? {}) as Record<string, unknown>;
  if (v !== version || !isCount(startedMs) || !isCount(writtenMs) || typeof hasStopped !== "boolean") return undefined;
  if (!isCount(killed) || !isCount(stopped) || !Array.isArray(atRisk) || !Array.isArray(lost)) return undefined;
  if (!atRisk.every(isAmount) || !lost.every(isLostAmount)) return undefined;
  return { startedMs, writtenMs, hasStopped, atRisk, lost, ends: { killed, stopped } };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAmount(value: unknown): value is Amount {
  const { what, adapter, count } = (value ?? {}) as Record<string, unknown>;
  return typeof what === "string" && typeof adapter === "string" && isCount(count);
}

function isLostAmount(value: unknown): value is LostAmount {
  const { end } = (value ?? {}) as Record<string, unknown>;
  return isAmount(value) && (end === "killed" || end === "stopped");
}

/** What all processes have lost up to the one of a state. */
export function lostUpTo({ hasStopped, atRisk, lost, ends }: LedgerState): Pick<LedgerState, "lost" | "ends"> {
  const end = hasStopped ? "stopped" : "killed";
  return {
    lost: sums([...lost, ...atRisk.map((amount) => ({ ...amount, end }) as const)]),
    ends: { ...ends, [end]: ends[end] + 1 },
  };
}

/** One amount for all that are of the same. */
export function sums<T extends Amount & { readonly end?: End }>(amounts: readonly T[]): readonly T[] {
  const byKey = new Map<string, T>();
  for (const amount of amounts) {
    const key = JSON.stringify([amount.end, amount.what, amount.adapter]);
    const known = byKey.get(key);
    byKey.set(key, known === undefined ? amount : { ...amount, count: known.count + amount.count });
  }
  return [...byKey.values()];
}

/** Whether an amount is of samples that may have been counted twice, rather than of something lost. */
export function isRepeated({ what }: Amount): boolean {
  return what === ("repeated_sample" satisfies AtRisk);
}
