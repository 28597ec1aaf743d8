import type { Bag } from "../attributes/bag.ts";
import type { CheckRule } from "../policy/snapshot.ts";
import type { CallTime } from "./adapter-call.ts";
import { nested } from "./call-trace.ts";
import type { LimitState } from "./decision.ts";
import type { DecisionId } from "./decision-id.ts";
import type { Tracer } from "./decision-trace.ts";
import type { CheckContext } from "./judgement.ts";
import { isRefused } from "./limits/charging.ts";
import { chargeDescriptors } from "./limits/descriptor-charging.ts";
import type { DescriptorCharges } from "./limits/descriptor-charging.ts";
import { formOf, isLasting } from "./limits/descriptor-form.ts";
import type { DescriptorForm, FormWish } from "./limits/descriptor-form.ts";
import { DescriptorLimits, isAtRateLimit } from "./limits/descriptor-limits.ts";
import { descriptorWish, plainWish } from "./limits/descriptor-wish.ts";
import type { DescriptorsOf, DescriptorWish } from "./limits/descriptor-wish.ts";
import { limitState, refusalOf } from "./limits/judge-limits.ts";
import type {
  DescriptorAsked,
  DescriptorOutcome,
  RateLimitAsked,
  RateLimitDecision,
  RateLimitJudgement,
} from "./rate-limit-decision.ts";
import { codes, messageOf, sortRefusals } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";

/** Begins to judge one request of a rate limit door. */
export type RateLimit = (asked: RateLimitAsked) => RateLimitJudgement;

const nothing: readonly never[] = [];
const allowedWithoutLimit: DescriptorOutcome = { allowed: true, limits: nothing };
const refusedByFault: DescriptorOutcome = { allowed: false, limits: nothing };

/** Prepares the limits of a snapshot that the rate limit doors charge. */
export function createRateLimit(context: CheckContext): RateLimit {
  const limits = new DescriptorLimits(context.snapshot.checks.filter(isAtRateLimit), context);
  const faults = new FaultCount(context);
  const judging: RateLimit = (asked) => new Judging(faults, limits, asked);
  const { tracer } = context;
  return tracer === undefined ? judging : (asked) => traced(judging, tracer, asked);
}

/** Judges, and tells of it where it is to be traced. */
function traced(judging: RateLimit, tracer: Tracer, asked: RateLimitAsked): RateLimitJudgement {
  const trace = tracer.begin(asked.carrier, undefined);
  if (trace === undefined) return judging(asked);
  const judgement = judging({ ...asked, trace: nested(asked.trace, trace) });
  const ended = (decision: RateLimitDecision): RateLimitDecision => {
    trace.end("rate limit", { ...decision, id: decision.id.text });
    return decision;
  };
  return {
    add: (bag, descriptor) => judgement.add(bag, descriptor),
    addAgain: (form) => judgement.addAgain(form),
    form: () => judgement.form(),
    decide() {
      const decision = judgement.decide();
      return decision instanceof Promise ? decision.then(ended) : ended(decision);
    },
  };
}

/** What decisions are made with, and how many faults and absences were told of. */
class FaultCount {
  readonly context: CheckContext;
  told = 0;

  constructor(context: CheckContext) {
    const { observer } = context;
    this.context = {
      ...context,
      observer: {
        ...observer,
        ruleFault: (rule, part, kind) => {
          this.told++;
          observer.ruleFault(rule, part, kind);
        },
      },
    };
  }
}

class Judging implements RateLimitJudgement, DescriptorsOf, DescriptorCharges {
  readonly context: CheckContext;
  readonly asked: RateLimitAsked;
  readonly each: boolean;
  readonly enforced: DescriptorWish[];
  observing: DescriptorWish[] | undefined;
  /** Begins when limits are charged; `undefined` where none applies. */
  time: CallTime | undefined;
  readonly #faults: FaultCount;
  readonly #limits: DescriptorLimits;
  /** When the first descriptor was judged; `undefined` where each was judged before, in another request. */
  #startMs: number | undefined;
  #descriptors = 0;
  /** How many there are in {@link Judging.enforced}: until they are charged it may have room for more. */
  #enforced = 0;
  #id: DecisionId | undefined;
  #isBroken = false;
  /** Whether the descriptor that was judged last would be judged so again. */
  #isLasting = false;

  constructor(faults: FaultCount, limits: DescriptorLimits, asked: RateLimitAsked) {
    const { context } = faults;
    this.context = context;
    this.#faults = faults;
    this.#limits = limits;
    this.asked = asked;
    this.each = asked.each === true;
    // A list that grows takes room for 17: most descriptors have one limit.
    this.enforced = new Array<DescriptorWish>(asked.descriptors ?? 0);
  }

  id(): DecisionId {
    return (this.#id ??= this.context.nextLazyId());
  }

  add(bag: Bag, asked: DescriptorAsked): void {
    const descriptor = this.#descriptors++;
    this.#startMs ??= this.context.monotonic();
    const { told } = this.#faults;
    this.#isLasting = asked.override === undefined && this.context.produce === undefined;
    try {
      const count = this.#limits.find(bag);
      for (let i = 0; i < count; i++) {
        const limit = this.#limits.found[i]!;
        const wish = descriptorWish(this, descriptor, limit, bag, asked);
        this.#isLasting &&= isLasting(limit, wish);
        if (wish !== undefined) this.#want(wish, limit.enforced);
      }
    } catch (error) {
      this.#broken(error);
    }
    this.#isLasting &&= !this.#isBroken && this.#faults.told === told;
  }

  addAgain(form: DescriptorForm): void {
    const descriptor = this.#descriptors++;
    if (typeof form === "string") return;
    const { applied } = this.context.use;
    for (let wish: FormWish | undefined = form; wish !== undefined; wish = wish.next) {
      applied[wish.rule.ordinal]!++;
      this.#want(plainWish(wish.rule, wish, descriptor), wish.enforced);
    }
  }

  form(): DescriptorForm | undefined {
    if (!this.#isLasting) return undefined;
    const last = this.#descriptors - 1;
    const wishes = [...this.enforced.slice(0, this.#enforced), ...(this.observing ?? nothing)].filter(
      ({ descriptor }) => descriptor === last,
    );
    return formOf(wishes);
  }

  #want(wish: DescriptorWish, isEnforced: boolean): void {
    if (isEnforced) this.enforced[this.#enforced++] = wish;
    else (this.observing ??= []).push(wish);
  }

  decide(): RateLimitDecision | Promise<RateLimitDecision> {
    if (this.#isBroken) return this.#refuseAll();
    try {
      const charged = this.#charge();
      if (!(charged instanceof Promise)) return this.#decision();
      return charged
        .then(() => this.#decision())
        .catch((error: unknown) => {
          this.#broken(error);
          return this.#refuseAll();
        });
    } catch (error) {
      this.#broken(error);
      return this.#refuseAll();
    }
  }

  #charge(): void | Promise<void> {
    if (this.enforced.length > this.#enforced) this.enforced.length = this.#enforced;
    if (this.enforced.length === 0 && this.observing === undefined) return undefined;
    this.time = { startMs: this.context.monotonic(), endMs: undefined };
    return chargeDescriptors(this);
  }

  #decision(): RateLimitDecision {
    const { snapshot, observer, monotonic } = this.context;
    const wishes = this.enforced;
    const descriptors = new Array<DescriptorOutcome>(this.#descriptors);
    let refusals: Refusal[] | undefined;
    let degraded: Set<string> | undefined;
    // Wishes stand in the order of their descriptors.
    for (let descriptor = 0, i = 0; descriptor < this.#descriptors; descriptor++) {
      let limits: LimitState[] | undefined;
      let allowed = true;
      for (; wishes[i]?.descriptor === descriptor; i++) {
        const wish = wishes[i]!;
        const state = limitState(wish);
        // Most descriptors have one limit: a list of one is smaller than one that grew.
        if (limits === undefined) limits = [state];
        else limits.push(state);
        if (wish.degraded) (degraded ??= new Set()).add(wish.rule.id);
        if (state.allowed) continue;
        allowed = false;
        refusals = this.#withRefusal(refusals, wish);
      }
      descriptors[descriptor] = limits === undefined ? allowedWithoutLimit : { allowed, limits };
    }
    const observed = this.observing === undefined ? nothing : this.#observedRules(this.observing);
    if (refusals !== undefined) sortRefusals(refusals);
    const first = refusals?.[0];
    const allowed = first === undefined;
    const { time } = this;
    // It is decided when the limits have answered.
    const end = time?.endMs ?? monotonic();
    const start = this.#startMs ?? time?.startMs ?? end;
    observer.decision(allowed, end - start, undefined, time && end - time.startMs);
    const decision: RateLimitDecision = {
      id: this.id(),
      version: snapshot.version,
      allowed,
      code: allowed ? codes.ok : first.code,
      message: refusals === undefined ? "" : messageOf(refusals),
      rules: refusals?.map(({ rule }) => rule.id) ?? nothing,
      observed,
      descriptors,
      degraded: degraded === undefined ? nothing : [...degraded],
    };
    return first?.rule.http === undefined ? decision : { ...decision, http: first.rule.http };
  }

  /** Adds what a wish that was refused says, once for each rule. */
  #withRefusal(refusals: Refusal[] = [], wish: DescriptorWish): Refusal[] {
    const { rule } = wish;
    this.context.observer.refusal(rule.id, "enforce");
    if (refusals.some((known) => known.rule === rule)) return refusals;
    const [code, message] = wish.refusal ?? refusalOf(wish);
    refusals.push({ rule, code, message });
    return refusals;
  }

  /** The rules that would have refused, each once, in order. */
  #observedRules(wishes: readonly DescriptorWish[]): readonly string[] {
    const rules = new Set<CheckRule>();
    for (const wish of wishes) {
      if (!isRefused(wish)) continue;
      this.context.observer.refusal(wish.rule.id, "observe");
      rules.add(wish.rule);
    }
    return [...rules].sort((a, b) => a.ordinal - b.ordinal).map(({ id }) => id);
  }

  #broken(error: unknown): void {
    this.#isBroken = true;
    this.context.log.error({ code: "WEIR_INTERNAL", err: error }, "a request could not be judged");
  }

  /** What is answered when something in here is wrong. Never a pass. */
  #refuseAll(): RateLimitDecision {
    const { snapshot, observer } = this.context;
    observer.decision(false, 0);
    return {
      id: this.context.nextLazyId(),
      version: snapshot.version,
      allowed: false,
      code: codes.unavailable,
      message: "the request could not be judged",
      rules: nothing,
      observed: nothing,
      descriptors: Array.from({ length: this.#descriptors }, () => refusedByFault),
      degraded: nothing,
    };
  }
}
