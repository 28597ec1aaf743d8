import type { Equality } from "../expression/expression.ts";
import type { CheckRule, Snapshot } from "../policy/snapshot.ts";
import { limitKeyPrefix } from "./limit-key.ts";
import { equalitiesOf } from "./rule-index.ts";

/** A rule with all that is computed of it when its snapshot is loaded. */
export interface PreparedRule {
  readonly rule: CheckRule;
  readonly equalities: readonly Equality[];
  /** For a limit: what its keys begin with. */
  readonly keyPrefix: string;
  /** For an ask: the names of inputs that may be absent. */
  readonly optional: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

export function prepareRule(rule: CheckRule, snapshot: Snapshot): PreparedRule {
  const equalities = equalitiesOf(rule);
  if (rule.kind === "limit") return { rule, equalities, keyPrefix: limitKeyPrefix(rule), optional: none };
  if (rule.kind !== "ask") return { rule, equalities, keyPrefix: "", optional: none };
  const inputs = Object.keys(snapshot.adapters.get(rule.ask)?.adapter.input ?? {});
  const optional = new Set(inputs.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1)));
  return { rule, equalities, keyPrefix: "", optional };
}
