import { WeirError } from "../util/weir-error.ts";

/** What a hub answered to a check. */
export interface CheckResult {
  /** Whether the request may pass, and every quota that was named was granted, at least in part where that was welcome. */
  readonly allowed: boolean;
  /** gRPC status code; 0 when allowed. */
  readonly code: number;
  readonly message: string;
  /** `policy/rule` of each rule that refused. Not known over the Mixer door. */
  readonly rules: readonly string[];
  /** What to answer in place of the service, where the rule says so. */
  readonly http?: {
    readonly status: number;
    readonly body: string;
    /** Not known over the Mixer door. */
    readonly headers?: readonly { readonly name: string; readonly value: string }[];
  };
  /** `policy/rule` of each limit whose store did not answer, so that its `onError` did. Not known over the Mixer door. */
  readonly degraded?: readonly string[];
  readonly requestHeaders: readonly HeaderOperation[];
  readonly responseHeaders: readonly HeaderOperation[];
  /** By the name that was asked for. */
  readonly quotas: ReadonlyMap<string, QuotaResult>;
  /** How long the answer may be used again for requests that agree in `referenced`, in milliseconds; 0: not at all. */
  readonly validForMs: number;
  /** How often; 0: not at all. */
  readonly validUses: number;
  readonly referenced: readonly Referenced[];
  /** Identity of the decision, and the version of the policies that made it. Not known over the Mixer door. */
  readonly id?: string;
  readonly version?: string;
}

export interface HeaderOperation {
  readonly operation: "set" | "append" | "remove";
  readonly name: string;
  readonly value: string;
}

export interface QuotaResult {
  readonly granted: number;
  readonly validForMs: number;
  /** gRPC status code of why nothing was granted; 0 when something was. */
  readonly code: number;
  readonly message: string;
}

/** An attribute, or one key of a string map, that the answer rests on. */
export interface Referenced {
  readonly name: string;
  readonly key?: string;
  readonly condition: "absent" | "present" | "whole";
}

/** What to ask beside whether the request may pass. */
export interface CheckOptions {
  /** Limits to take from, by rule name. */
  readonly quotas?: Readonly<Record<string, number | { readonly amount: number; readonly bestEffort?: boolean }>>;
  /** Identity of the request, which a retry repeats. */
  readonly dedupId?: string;
}

/** gRPC's RESOURCE_EXHAUSTED. */
const resourceExhausted = 8;

/** Whether a check passes in all, by its verdict and by what was granted of the quotas it named. */
export function overall(
  verdict: { readonly code: number; readonly message: string },
  quotas: ReadonlyMap<string, QuotaResult>,
  asked: ReadonlyMap<string, { readonly amount: bigint; readonly bestEffort: boolean }>,
): Pick<CheckResult, "allowed" | "code" | "message"> {
  if (verdict.code !== 0) return { allowed: false, code: verdict.code, message: verdict.message };
  for (const [name, { amount, bestEffort }] of asked) {
    const result = quotas.get(name);
    const granted = result?.granted ?? 0;
    if (bestEffort ? granted > 0 || amount === 0n : BigInt(granted) >= amount) continue;
    const { code = 0, message = "" } = result ?? {};
    return { allowed: false, code: code || resourceExhausted, message: message || `quota ${name} is exhausted` };
  }
  return { allowed: true, code: 0, message: verdict.message };
}

/** Quotas as both doors have them on the wire. Throws WEIR_REQUEST_QUOTA. */
export function quotasOf({ quotas = {} }: CheckOptions): Map<string, { amount: bigint; bestEffort: boolean }> {
  return new Map(
    Object.entries(quotas).map(([name, wish]) => {
      const { amount, bestEffort = false } = typeof wish === "number" ? { amount: wish } : wish;
      if (!Number.isSafeInteger(amount) || amount < 0) {
        throw new WeirError("WEIR_REQUEST_QUOTA", `the amount of quota ${name} is a whole number of 0 or more`);
      }
      return [name, { amount: BigInt(amount), bestEffort }];
    }),
  );
}

/** Milliseconds of a google.protobuf.Duration. */
export function msOf(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** A google.protobuf.Duration of some milliseconds. */
export function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.floor((ms - seconds * 1000) * 1e6) };
}
