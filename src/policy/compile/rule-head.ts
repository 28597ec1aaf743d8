import type { Phase } from "../../attributes/vocabulary.ts";
import type { Expression } from "../../expression/expression.ts";
import type { Listeners } from "../../listen/settings.ts";
import type { AdapterNames } from "../config/adapter-names.ts";
import { condition } from "./rule-expressions.ts";
import type { RuleExpressions } from "./rule-expressions.ts";
import type { ExpressionText } from "../shape/scalars.ts";
import type { Located, Reading } from "../shape/shape.ts";
import type { Place, Policy } from "../snapshot.ts";
import { placeAt } from "../yaml/source.ts";

/** What the rules of one policy are compiled with. */
export interface RuleContext {
  readonly reading: Reading;
  readonly policy: Policy;
  readonly expressions: RuleExpressions;
  readonly adapters: AdapterNames;
  /** `check.share` of weir.yaml. */
  readonly share: number | undefined;
  readonly listen: Listeners;
  /** Names of the policy's rules so far, with their lines. */
  readonly names: Map<string, number>;
}

/** What every rule has. */
export interface RuleHead {
  readonly id: string;
  readonly name: string;
  readonly policy: Policy;
  readonly place: Place;
  readonly when: Expression<boolean> | undefined;
  readonly unless: Expression<boolean> | undefined;
}

interface RawHead {
  readonly node: { readonly start: number; readonly end: number };
  readonly when?: ExpressionText;
  readonly unless?: ExpressionText;
}

/** Compiles what every rule has. `name` is where the rule's name stands: its own key, or what it is called by. */
export function compileHead(
  context: RuleContext,
  raw: RawHead,
  name: Located<string> | undefined,
  phase: Phase,
): RuleHead {
  const { reading, policy, expressions, names } = context;
  const place = placeAt(reading.source, raw.node.start);
  if (name !== undefined) {
    const line = names.get(name.value);
    if (line === undefined) {
      names.set(name.value, place.line);
    } else {
      const message = `the policy "${policy.name}" has a rule "${name.value}" already, at line ${line}`;
      reading.tell(name.node, { code: "WEIR_POLICY_DUPLICATE", message, hint: "give this rule a name: of its own" });
    }
  }
  const when = raw.when && expressions.compile<boolean>(reading, raw.when, phase, condition);
  const unless = raw.unless && expressions.compile<boolean>(reading, raw.unless, phase, condition);
  return {
    id: `${policy.name}/${name?.value ?? ""}`,
    name: name?.value ?? "",
    policy,
    place,
    when,
    unless,
  };
}
