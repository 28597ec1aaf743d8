import type { Bag, Reads } from "../../attributes/bag.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { attributesRead } from "./attributes-read.ts";
import type { AdapterTiming, DecisionLog, NotedDecision, Timing } from "./decision-log.ts";

const nothing: readonly never[] = [];

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
type Judged = Omit<NotedDecision, "id" | "limits"> & {
  readonly id: { readonly text: string };
  readonly descriptors: readonly { readonly limits: NotedDecision["limits"] }[];
};

/** Judgements of a rate limit door whose decisions are noted; what descriptors say only where decisions are logged. */
export function notedJudgements<Q extends Watched, A, F, D extends Judged>(
  begin: (asked: Q) => Judgement<A, F, D>,
  noting: Noting,
): (asked: Q) => Judgement<A, F, D> {
  if (noting.log.logs) return (asked) => new LoggedJudgement(begin, asked, noting);
  return (asked) => new NotedJudgement(begin(asked), noting);
}

/** Notes refusals, where nothing is logged. It is made for each request: a class, since closures would cost as much as all else. */
class NotedJudgement<A, F, D extends Judged> implements Judgement<A, F, D> {
  protected readonly judgement: Judgement<A, F, D>;
  readonly #noting: Noting;

  constructor(judgement: Judgement<A, F, D>, noting: Noting) {
    this.judgement = judgement;
    this.#noting = noting;
  }

  add(bag: Bag, asked: A): void {
    this.judgement.add(bag, asked);
  }

  addAgain(form: F): void {
    this.judgement.addAgain(form);
  }

  form(): F | undefined {
    return this.judgement.form();
  }

  decide(): Awaitable<D> {
    const decision = this.judgement.decide();
    return decision instanceof Promise ? decision.then((decided) => this.ended(decided)) : this.ended(decision);
  }

  protected ended(decision: D): D {
    return decision.allowed ? decision : this.note(decision, undefined, nothing);
  }

  protected note(decision: D, timing: Timing | undefined, said: readonly JsonValue[]): D {
    const { log, door } = this.#noting;
    const limits = decision.descriptors.flatMap((descriptor) => descriptor.limits);
    log.note(door, "", { ...decision, id: decision.id.text, limits }, timing, () => said);
    return decision;
  }
}

/** Notes every decision, with what was read of each descriptor: of all of them, so it has no forms. */
class LoggedJudgement<Q extends Watched, A, F, D extends Judged> extends NotedJudgement<A, F, D> {
  readonly #reveal: DecisionLog["reveal"];
  readonly #monotonic: () => number;
  readonly #timings: AdapterTimings;
  readonly #start: number;
  readonly #said: JsonValue[] = [];

  constructor(begin: (asked: Q) => Judgement<A, F, D>, question: Q, noting: Noting) {
    const { log, monotonic } = noting;
    const timings = new AdapterTimings(monotonic);
    const start = monotonic();
    super(begin({ ...question, trace: timings }), noting);
    this.#reveal = log.reveal;
    this.#monotonic = monotonic;
    this.#timings = timings;
    this.#start = start;
  }

  override add(bag: Bag, asked: A): void {
    super.add(bag, asked);
    this.#said.push(attributesRead(bag, bag.reads(), this.#reveal));
  }

  override form(): undefined {
    return undefined;
  }

  protected override ended(decision: D): D {
    const timing = { tookMs: this.#monotonic() - this.#start, adapters: this.#timings.calls };
    return this.note(decision, timing, this.#said);
  }
}
