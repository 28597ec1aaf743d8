import type { Bag, Reads } from "../../attributes/bag.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { attributesRead } from "./attributes-read.ts";
import type { AdapterTiming, DecisionLog, NotedDecision, Timing } from "./decision-log.ts";

/** Who notes, for which door. */
export interface Noting {
  readonly log: DecisionLog;
  readonly door: string;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

type Awaitable<T> = T | Promise<T>;

/** Watches the calls of adapters that a decision makes. */
interface Watch {
  call<T>(adapter: string, capability: string, ask: () => Awaitable<T>): Awaitable<T>;
}

/** What a question may carry of a watch. */
interface Watched {
  readonly trace?: Watch | undefined;
}

/** How long each adapter took that a decision waited for. */
class AdapterTimings implements Watch {
  readonly calls: AdapterTiming[] = [];
  readonly #monotonic: () => number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  call<T>(adapter: string, capability: string, ask: () => Awaitable<T>): Awaitable<T> {
    const start = this.#monotonic();
    const ended = (answer: T): T => {
      this.calls.push({ adapter, capability, tookMs: this.#monotonic() - start });
      return answer;
    };
    const answer = ask();
    return answer instanceof Promise ? answer.then(ended) : ended(answer);
  }
}

/** A check whose decisions are noted. */
export function notedCheck<
  A extends Watched & { readonly caller?: string },
  D extends NotedDecision & { readonly reads: Reads },
>(check: (bag: Bag, asked: A) => Awaitable<D>, { log, door, monotonic }: Noting): (bag: Bag, asked: A) => Awaitable<D> {
  const note = (decision: D, bag: Bag, { caller = "" }: A, timing?: Timing): D => {
    log.note(door, caller, decision, timing, () => attributesRead(bag, decision.reads, log.reveal));
    return decision;
  };
  // Where nothing is logged, only refusals are noted, and nothing is measured.
  const refusal = (decision: D, bag: Bag, asked: A): D => (decision.allowed ? decision : note(decision, bag, asked));
  if (!log.logs)
    return (bag, asked) => {
      const decision = check(bag, asked);
      return decision instanceof Promise
        ? decision.then((decided) => refusal(decided, bag, asked))
        : refusal(decision, bag, asked);
    };
  return (bag, asked) => {
    const timings = new AdapterTimings(monotonic);
    const start = monotonic();
    const ended = (decision: D): D =>
      note(decision, bag, asked, { tookMs: monotonic() - start, adapters: timings.calls });
    const decision = check(bag, { ...asked, trace: timings });
    return decision instanceof Promise ? decision.then(ended) : ended(decision);
  };
}

/** The judgement of some descriptors, one after the other. */
interface Judgement<A, F, D> {
  add(bag: Bag, asked: A): void;
  addAgain(form: F): void;
  form(): F | undefined;
  decide(): Awaitable<D>;
}

/** What a decision on descriptors says of each. */
type Judged = Omit<NotedDecision, "limits"> & {
  readonly descriptors: readonly { readonly limits: NotedDecision["limits"] }[];
};

/** Judgements of a rate limit door whose decisions are noted; what descriptors say only where decisions are logged. */
export function notedJudgements<Q extends Watched, A, F, D extends Judged>(
  begin: (asked: Q) => Judgement<A, F, D>,
  noting: Noting,
): (asked: Q) => Judgement<A, F, D> {
  return (asked) => notedJudgement(begin, asked, noting);
}

function notedJudgement<Q extends Watched, A, F, D extends Judged>(
  begin: (asked: Q) => Judgement<A, F, D>,
  question: Q,
  { log, door, monotonic }: Noting,
): Judgement<A, F, D> {
  const said: JsonValue[] = [];
  const timings = log.logs ? new AdapterTimings(monotonic) : undefined;
  const start = timings === undefined ? 0 : monotonic();
  const judgement = begin(timings === undefined ? question : { ...question, trace: timings });
  const note = (decision: D): D => {
    if (timings === undefined && decision.allowed) return decision;
    const limits = decision.descriptors.flatMap((descriptor) => descriptor.limits);
    const timing = timings && { tookMs: monotonic() - start, adapters: timings.calls };
    log.note(door, "", { ...decision, limits }, timing, () => said);
    return decision;
  };
  return {
    add(bag, asked) {
      judgement.add(bag, asked);
      if (log.logs) said.push(attributesRead(bag, bag.reads(), log.reveal));
    },
    addAgain: (form) => judgement.addAgain(form),
    // The log tells of attributes, which a form does not have.
    form: () => (log.logs ? undefined : judgement.form()),
    decide() {
      const decision = judgement.decide();
      return decision instanceof Promise ? decision.then(note) : note(decision);
    },
  };
}
