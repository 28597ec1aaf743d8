import type { Equality, Expression } from "../expression/expression.ts";
import type { CheckRule, Policy, Snapshot } from "../policy/snapshot.ts";
import { chooseOverride, keyedLimit, type KeyedLimit, type LimitChoice } from "./limit-choice.ts";
import { equalitiesOf } from "./rule-index.ts";

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

export function prepareRule(rule: CheckRule, snapshot: Snapshot): PreparedRule {
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
    chooseLimit: kind === "limit" ? chooseOverride(rule, ownLimit!) : undefined,
    optional: kind === "ask" ? optionalInputs(rule.ask, snapshot) : none,
  };
}

function optionalInputs(ask: string, { adapters }: Snapshot): ReadonlySet<string> {
  const inputs = Object.keys(adapters.get(ask)?.adapter.input ?? {});
  return new Set(inputs.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1)));
}
