import type { Bag, Reads } from "../attributes/bag.ts";
import type { Fault } from "../attributes/fault.ts";
import type { CheckRule, HeadersRule, Snapshot } from "../policy/snapshot.ts";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { AdapterCalls } from "./adapter-call.ts";
import type { Wish } from "./limits/charging.ts";
import type { Tracer } from "./decision-trace.ts";
import type { Asked, HeaderOperation, QuotaOutcome } from "./decision.ts";
import type { DecisionId } from "./decision-id.ts";
import type { LocalLimits } from "./limits/local-limits.ts";
import type { PreparedRule, Tables } from "./prepared-rule.ts";
import type { Refusal } from "./refusal.ts";
import type { RuleUse } from "./rules/rule-use.ts";
import { Validity } from "./validity.ts";

/** What decisions are made with. */
export interface CheckContext {
  readonly snapshot: Snapshot;
  /** The calls to an adapter by its name in `weir.yaml`. */
  readonly callsOf: (adapter: string) => AdapterCalls;
  readonly tables: Tables;
  /** What keeps limits in this process, for `onError: local`. */
  readonly fallback: AdapterCalls;
  /** How those limits are kept. */
  readonly local: LocalLimits;
  readonly observer: Observer;
  /** Counts how the snapshot's rules are used. */
  readonly use: RuleUse;
  readonly log: Log;
  /** A new decision id: 128 random bits in hexadecimal. */
  readonly nextId: () => string;
  /** The same, where its text may not be needed. */
  readonly nextLazyId: () => DecisionId;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  /** Makes what adapters know of a request. Left out: no rule reads such. */
  readonly produce?: ((bag: Bag) => void) | undefined;
  /** Left out: decisions are not traced. */
  readonly tracer?: Tracer | undefined;
}

const none: readonly never[] = [];

/** A request on its way to a decision. A list is made when something goes into it: most requests need none. */
export class Judgement {
  readonly context: CheckContext;
  readonly bag: Bag;
  readonly asked: Asked;
  /** When it began, by the monotonic clock. */
  readonly start: number;
  /** How long verdicts were waited for; `undefined` where none was. */
  asksMs: number | undefined;
  /** When limits were charged, by the same clock; `undefined` where none was. */
  chargeStart: number | undefined;
  refusals: Refusal[] | undefined;
  /** Rules that would have refused. */
  observed: CheckRule[] | undefined;
  readonly validity: Validity;
  /** Whether a rule took part that says nothing of its own about that. */
  tookUsualPart = false;
  /** Asks that apply, or of which that cannot be said. */
  asks: { readonly prepared: PreparedRule; readonly applies: true | Fault }[] | undefined;
  /** Limits that may apply. */
  limits: PreparedRule[] | undefined;
  /** Header rules that apply, or of which that cannot be said. */
  headers: { readonly rule: HeadersRule; readonly known: boolean }[] | undefined;
  /** Charges to make. */
  wishes: Wish[] | undefined;
  /** What had been read before the first rule; only where the caller names limits. */
  readonly before: Reads | undefined;
  /** What the decision says was read. */
  reads: Reads | undefined;
  requestHeaders: readonly HeaderOperation[] = none;
  responseHeaders: readonly HeaderOperation[] = none;
  /** Changes of query parameters, where a rule makes any. */
  query: HeaderOperation[] | undefined;
  /** What became of the limits that the caller named; only where it names some. */
  readonly quotas: Map<string, QuotaOutcome> | undefined;
  #id: string | undefined;

  constructor(context: CheckContext, bag: Bag, asked: Asked) {
    this.context = context;
    this.bag = bag;
    this.asked = asked;
    this.start = context.monotonic();
    this.validity = new Validity(context.snapshot.settings.check);
    const named = asked.quotas !== undefined && asked.quotas.size > 0;
    this.before = named ? bag.reads() : undefined;
    this.quotas = named ? new Map() : undefined;
  }

  /** The decision's id, drawn before the decision is made where something is to be held under it. */
  get id(): string {
    return (this.#id ??= this.context.nextId());
  }

  /** A rule refuses, or would if its policy did not only observe. */
  refuse(rule: CheckRule, code: number, message: string): void {
    const { mode } = rule.policy;
    this.context.observer.refusal(rule.id, mode);
    if (mode === "observe") (this.observed ??= []).push(rule);
    else (this.refusals ??= []).push({ rule, code, message });
  }

  /** Puts what was noted of rules into the order of these. */
  sortByRules(): void {
    this.asks?.sort((a, b) => a.prepared.rule.ordinal - b.prepared.rule.ordinal);
    this.limits?.sort((a, b) => a.rule.ordinal - b.rule.ordinal);
    this.headers?.sort((a, b) => a.rule.ordinal - b.rule.ordinal);
  }

  /** A rule applied: it has a say in how long the decision may be kept. */
  takePart({ enforced, cacheMs }: PreparedRule, validForMs?: number, validUses?: number): void {
    if (enforced) this.validity.takePart(cacheMs, validForMs, validUses);
  }

  /** Something in a rule could not be evaluated. */
  fault(rule: CheckRule, part: string, fault: Fault): void {
    tellFault(this.context, rule, part, fault);
  }
}

/** Counts and logs that a part of a rule could not be evaluated. */
export function tellFault(
  { observer, log }: Pick<CheckContext, "observer" | "log">,
  rule: CheckRule,
  part: string,
  fault: Fault,
): void {
  observer.ruleFault(rule.id, part, "fault");
  log.debug({ rule: rule.id, part, fault: fault.message }, "a rule could not be evaluated");
}
