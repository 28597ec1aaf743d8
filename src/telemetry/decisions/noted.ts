import type { Bag, Reads } from "../../attributes/bag.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { attributesRead } from "./attributes-read.ts";
import type { DecisionLog, NotedDecision } from "./decision-log.ts";

/** Who notes, for which door. */
export interface Noting {
  readonly log: DecisionLog;
  readonly door: string;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

type Awaitable<T> = T | Promise<T>;

/** A check whose decisions are noted. */
export function notedCheck<A extends { readonly caller?: string }, D extends NotedDecision & { readonly reads: Reads }>(
  check: (bag: Bag, asked: A) => Awaitable<D>,
  { log, door, monotonic }: Noting,
): (bag: Bag, asked: A) => Awaitable<D> {
  const note = (decision: D, bag: Bag, { caller = "" }: A, tookMs: number): D => {
    // Refusals are noted in any case, the others where they are logged.
    if (log.logs || !decision.allowed)
      log.note(door, caller, decision, tookMs, () => attributesRead(bag, decision.reads, log.reveal));
    return decision;
  };
  return (bag, asked) => {
    const start = log.logs ? monotonic() : NaN;
    const decision = check(bag, asked);
    if (!(decision instanceof Promise)) return note(decision, bag, asked, log.logs ? monotonic() - start : NaN);
    return decision.then((decided) => note(decided, bag, asked, log.logs ? monotonic() - start : NaN));
  };
}

/** The judgement of some descriptors, one after the other. */
interface Judgement<A, D> {
  add(bag: Bag, asked: A): void;
  decide(): Awaitable<D>;
}

/** What a decision on descriptors says of each. */
type Judged = Omit<NotedDecision, "limits"> & {
  readonly descriptors: readonly { readonly limits: NotedDecision["limits"] }[];
};

/** The judgement of a rate limit door whose decision is noted; what descriptors say only where decisions are logged. */
export function notedJudgement<A, D extends Judged>(
  judgement: Judgement<A, D>,
  { log, door, monotonic }: Noting,
): Judgement<A, D> {
  const said: JsonValue[] = [];
  const start = log.logs ? monotonic() : NaN;
  const note = (decision: D): D => {
    if (!log.logs && decision.allowed) return decision;
    const limits = decision.descriptors.flatMap((descriptor) => descriptor.limits);
    log.note(door, "", { ...decision, limits }, log.logs ? monotonic() - start : NaN, () => said);
    return decision;
  };
  return {
    add(bag, asked) {
      judgement.add(bag, asked);
      if (log.logs) said.push(attributesRead(bag, bag.reads(), log.reveal));
    },
    decide() {
      const decision = judgement.decide();
      return decision instanceof Promise ? decision.then(note) : note(decision);
    },
  };
}
