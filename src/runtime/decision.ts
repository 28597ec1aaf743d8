import type { Reads } from "../attributes/bag.ts";
import type { DirectResponse } from "../policy/snapshot.ts";
import type { CallTrace } from "./call-trace.ts";
import type { TraceCarrier } from "./decision-trace.ts";

/** What a caller asks beside its attributes. */
export interface Asked {
  /** Limits named by the caller, with the amounts it wants. Left out or empty: every limit that applies is charged its cost. */
  readonly quotas?: ReadonlyMap<string, { readonly amount: number; readonly bestEffort: boolean }>;
  /** Identity of the call, which a retry repeats. Empty means none. */
  readonly dedupId?: string;
  /** Who calls, as far as the door knows; scopes `dedupId`. */
  readonly caller?: string;
  /** Epoch milliseconds until which an answer is of use. */
  readonly deadlineMs?: number;
  /** What carried the call, where its trace context may be read. */
  readonly carrier?: TraceCarrier | undefined;
  /** Told of the calls to adapters that the decision makes. */
  readonly trace?: CallTrace | undefined;
}

/** One header change, evaluated. */
export interface HeaderOperation {
  readonly operation: "set" | "append" | "remove";
  readonly name: string;
  /** Empty for `remove`. */
  readonly value: string;
}

/** The answer for one limit that a caller named. */
export interface QuotaOutcome {
  readonly granted: number;
  readonly validForMs: number;
  /** 0 when granted; else a gRPC code and why. */
  readonly code: number;
  readonly message: string;
  /** What was read for this limit alone. */
  readonly reads: Reads;
}

/** Where a limit stands after a decision, for headers and for people. */
export interface LimitState {
  /** `policy/rule`. */
  readonly rule: string;
  readonly allowed: boolean;
  readonly amount: number;
  /** Of what is at work at once: how long its lease lasts. */
  readonly windowMs: number;
  /** Set where the limit is on what is at work at once. */
  readonly concurrent?: true;
  readonly remaining: number;
  readonly resetMs: number;
  /** Left out where it was not refused, where it never will be granted, and for what is at work at once, which may end at any time. */
  readonly retryAfterMs?: number;
  /** Set when the limit's store did not answer and `onError` did. */
  readonly degraded?: boolean;
}

/** The answer to one check. */
export interface Decision {
  /** Random, 128 bits in hexadecimal. */
  readonly id: string;
  /** The version of the snapshot that decided. */
  readonly version: string;
  /**
   * Whether the request may pass. Limits that the caller named have no say in it: what they grant is in `quotas`, and a
   * caller that is granted 0 refuses by itself.
   */
  readonly allowed: boolean;
  /** gRPC status code: 0 when allowed. */
  readonly code: number;
  readonly message: string;
  /**
   * `policy/rule` of each rule that refused, sorted, but those last that refuse because an adapter did not answer; empty
   * when allowed. The first names code and direct response.
   */
  readonly rules: readonly string[];
  /** `policy/rule` of each rule that would have refused, were its policy not in mode observe. */
  readonly observed: readonly string[];
  /** The refusal's direct response, if its rule has one. */
  readonly http?: DirectResponse;
  /** Only of an allowed request. */
  readonly requestHeaders: readonly HeaderOperation[];
  readonly responseHeaders: readonly HeaderOperation[];
  /** Changes of the request's query parameters; left out when there are none. Only of an allowed request. */
  readonly query?: readonly HeaderOperation[];
  /** By the name the caller used. Empty when the request was refused before limits were judged, or named none. */
  readonly quotas: ReadonlyMap<string, QuotaOutcome>;
  /** Every limit that was judged, in the order of its rule. */
  readonly limits: readonly LimitState[];
  /** How long the client may keep the answer; 0: not at all. */
  readonly validForMs: number;
  /** How many uses the answer is good for; 0: it must not be kept. */
  readonly validUses: number;
  /**
   * What was read to decide. What was read only for a limit that the caller named is in that limit's outcome; for a
   * caller that names none, what showed that a limit does not apply belongs to the answer.
   */
  readonly reads: Reads;
}
