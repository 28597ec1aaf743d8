import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { HoldChange, HoldOutcome } from "../../sdk/index.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { AdapterCalls } from "../adapter-call.ts";
import { Endings } from "./endings.ts";
import { Failure } from "../failure.ts";
import type { CheckContext } from "../judgement.ts";

/** What a caller wants done with what a decision took. */
export type HoldAsked = { readonly id: string } & (
  | { readonly kind: "release" }
  /** `forMs` is at most, and by default, the `ttl` of each limit. */
  | { readonly kind: "renew"; readonly forMs?: number }
  /** Of the limit that is called `rule` (`policy/rule`), by default of all; `amount` is at most, and by default, what was taken. */
  | { readonly kind: "refund"; readonly rule?: string; readonly amount?: number }
);

/** What became of it for one limit. */
export interface HoldAnswer {
  /** `policy/rule`. */
  readonly rule: string;
  /** Units given back, or of the lease that was renewed. */
  readonly units: number;
  /** For `renew`: how long the lease lasts now, in milliseconds. */
  readonly forMs?: number;
}

/** What decisions took of limits, held under their ids, for one snapshot. */
export interface Holds {
  /**
   * Does what a caller wants and answers what became of each limit; nothing where none is held under the id any more.
   * Rejects with WEIR_ADAPTER_FAILED when a store did not answer.
   */
  change(asked: HoldAsked): Promise<readonly HoldAnswer[]>;
  /**
   * Takes the report of a request: where it ends the request, leases of the decisions that it names end, and what they
   * took is settled, behind. `undefined` where no rule of the snapshot asks for it. Never throws.
   */
  readonly end: ((report: Bag) => void) | undefined;
}

const decisionId = /^[0-9a-f]{32}$/;

/** What of a request's units is believed to a report. */
const maxUsed = 1e12;

export function createHolds(context: CheckContext): Holds {
  const { snapshot, callsOf, fallback } = context;
  const stores = [...snapshot.adapters.keys()]
    .map(callsOf)
    .concat(fallback)
    .filter(({ canHold }) => canHold);

  return {
    async change(asked) {
      const change = changeOf(asked);
      const answers = await Promise.all(stores.map((calls) => calls.holds([change])));
      const failed = answers.findIndex((answer) => answer instanceof Failure);
      if (failed >= 0) {
        const message = `the adapter "${stores[failed]!.name}" did not answer: what it holds is as it was, ask again`;
        throw new WeirError("WEIR_ADAPTER_FAILED", message);
      }
      return (answers as readonly (readonly (readonly HoldOutcome[])[])[]).flat(2).map(answerOf);
    },
    end: endOf(context, stores),
  };
}

/** Prepares what reports do; `undefined` where they do nothing. */
function endOf(context: CheckContext, stores: readonly AdapterCalls[]): Holds["end"] {
  const { snapshot, callsOf, fallback, observer } = context;
  const rules = snapshot.checks.filter(endsByReport);
  if (rules.length === 0) return undefined;
  const asked = new Set(rules.map(({ via }) => callsOf(via)));
  if (rules.some(({ onError }) => onError === "local")) asked.add(fallback);
  const endings = stores.filter((calls) => asked.has(calls)).map((calls) => new Endings(calls, observer));

  const layout = snapshot.reportLayout;
  const event = layout.find("connection.event")!;
  const ids = [layout.find("check.decision_id")!, layout.find("ratelimit.decision_id")!];
  const settled = rules.filter(({ settle }) => settle !== undefined);
  return (report) => {
    const moment = report.peek(event);
    if (moment === "open" || moment === "continue") return;
    let used: ReadonlyMap<string, number> | undefined;
    for (const slot of ids) {
      const id = report.peek(slot);
      if (typeof id !== "string" || !decisionId.test(id)) continue;
      used ??= usedOf(settled, report, context);
      for (const ending of endings) ending.push({ id, kind: "end", used });
    }
  };
}

function endsByReport(rule: CheckContext["snapshot"]["checks"][number]): rule is LimitRule {
  return rule.kind === "limit" && (rule.limit.algorithm === "concurrency" || rule.settle !== undefined);
}

/** Units that a request has used, by the ids of limits. What cannot be said stays as it was charged. */
function usedOf(rules: readonly LimitRule[], report: Bag, { observer }: CheckContext): ReadonlyMap<string, number> {
  const used = new Map<string, number>();
  for (const { id, limit, settle } of rules) {
    const held = settle!.evaluate(report);
    if (held === undefined) continue;
    const units = held instanceof Fault ? -1 : Number(held);
    if (!(units >= 0)) {
      observer.ruleFault(id, "settle", "fault");
      continue;
    }
    used.set(limit.id, Math.min(units, maxUsed));
    used.set(`${limit.id}${overrideMark}`, Math.min(units, maxUsed));
  }
  return used;
}

/** What ids of limits end in that a caller of a rate limit door has given another amount. */
export const overrideMark = "#override";

function changeOf(asked: HoldAsked): HoldChange {
  if (asked.kind !== "refund") return asked;
  const { id, kind, rule, amount } = asked;
  const limits =
    rule === undefined ? undefined : [rule, `${rule}#observe`].flatMap((each) => [each, each + overrideMark]);
  return { id, kind, ...(limits === undefined ? {} : { limits }), ...(amount === undefined ? {} : { amount }) };
}

/** A limit is called by its rule, whatever it has after that. */
function answerOf({ limit, units, forMs }: HoldOutcome): HoldAnswer {
  const rule = limit.split("#", 1)[0]!;
  return forMs === undefined ? { rule, units } : { rule, units, forMs };
}
