import type { Equality, Expression } from "../expression/expression.ts";
import type { CheckRule, LimitRule, Policy, Snapshot } from "../policy/snapshot.ts";
import { chooseFromTable, chooseOverride, keyedLimit } from "./limits/limit-choice.ts";
import type { KeyedLimit, LimitChoice, TableLookup } from "./limits/limit-choice.ts";
import { equalitiesOf } from "./rules/rule-index.ts";

export type Condition = Expression<boolean>["evaluate"];

/** A rule with all that is computed of it when its snapshot is loaded. */
export interface PreparedRule {
  readonly rule: CheckRule;
  readonly kind: CheckRule["kind"];
  readonly policy: Policy;
  /** The `match` of its policy. */
  readonly match: Condition | undefined;
  readonly when: Condition | undefined;
  readonly unless: Condition | undefined;
  readonly enforced: boolean;
  /** {@link CheckRule.cacheMs}. */
  readonly cacheMs: number | undefined;
  readonly equalities: readonly Equality[];
  /** For a limit: its own, and the choice where there are others beside it. */
  readonly ownLimit: KeyedLimit | undefined;
  readonly chooseLimit: LimitChoice | undefined;
  /** For an ask: the names of inputs that may be absent. */
  readonly optional: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

/** The table of an adapter by its name in `weir.yaml`. */
export type Tables = (adapter: string) => TableLookup;

export function prepareRule(rule: CheckRule, snapshot: Snapshot, tables: Tables): PreparedRule {
  const { kind, policy } = rule;
  const ownLimit = kind === "limit" ? keyedLimit(rule, rule.limit) : undefined;
  return {
    rule,
    kind,
    policy,
    match: policy.match?.evaluate,
    when: rule.when?.evaluate,
    unless: rule.unless?.evaluate,
    enforced: policy.mode === "enforce",
    cacheMs: rule.cacheMs,
    equalities: equalitiesOf(rule),
    ownLimit,
    chooseLimit: kind === "limit" ? chooseLimit(rule, ownLimit!, tables) : undefined,
    optional: kind === "ask" ? optionalInputs(rule.ask, snapshot) : none,
  };
}

function chooseLimit(rule: LimitRule, own: KeyedLimit, tables: Tables): LimitChoice | undefined {
  const override = chooseOverride(rule, own);
  if (rule.table === undefined) return override;
  return chooseFromTable(rule, tables(rule.table.from), override ?? (() => own));
}

/** The inputs of an adapter that may be left out. */
export function optionalInputs(ask: string, { adapters }: Snapshot): ReadonlySet<string> {
  const inputs = Object.keys(adapters.get(ask)?.adapter.input ?? {});
  return new Set(inputs.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1)));
}
