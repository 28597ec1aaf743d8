import { parseValue } from "../../attributes/text.ts";
import type { AttributeType, Value } from "../../attributes/value.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Counted, Limit } from "../../sdk/index.ts";
import { WeirError } from "../../util/weir-error.ts";
import { keyedLimit, type KeyedLimit } from "./limit-choice.ts";
import { keyOf } from "./limit-key.ts";
import { groupOf } from "./limit-wishes.ts";

/** A key as people say it: texts by the names of `by:`, and names whose value is absent. */
export interface KeyText {
  readonly values: ReadonlyMap<string, string>;
  readonly absent: ReadonlySet<string>;
}

/** The limits of a rule that have counts of their own; `row` is what a table says. */
export function countsOf(rule: LimitRule, row?: Limit): KeyedLimit[] {
  const all = [
    ...(row === undefined ? [] : [row]),
    rule.limit,
    ...(rule.overrides ?? []).map(({ limit }) => limit),
  ].map((limit) => keyedLimit(rule, limit));
  return all.filter(({ keyPrefix }, i) => all.findIndex((other) => other.keyPrefix === keyPrefix) === i);
}

/** The count of a key, where charges find it. */
export function countedAs(
  rule: LimitRule,
  { limit, keyPrefix }: KeyedLimit,
  values: readonly (Value | undefined)[],
): Counted {
  const group = groupOf(rule, (part) => values[part]);
  return { limit, key: keyOf(keyPrefix, values), ...(group !== undefined && { group }) };
}

/** The values that a key says, each of the type that its expression has. */
export function valuesOf({ id, by }: LimitRule, { values, absent }: KeyText): (Value | undefined)[] {
  const names = by.map(({ name }) => name);
  const malformed = (message: string): WeirError => new WeirError("WEIR_REQUEST_MALFORMED", message);
  const expected = names.length === 0 ? `${id} has one count and no keys` : `a key of ${id} is of ${names.join(", ")}`;
  for (const name of [...values.keys(), ...absent])
    if (!names.includes(name)) throw malformed(`${expected}, and got ${JSON.stringify(name.slice(0, 100))}`);
  return by.map(({ name, value }) => {
    if (absent.has(name)) return undefined;
    const text = values.get(name);
    if (text === undefined) throw malformed(`${expected}, and ${name} is missing`);
    const { kind } = value.type;
    const parsed = parseValue(kind as AttributeType, text);
    if (parsed === undefined)
      throw malformed(`${name} is of the type ${kind}, and ${JSON.stringify(text.slice(0, 100))} is not`);
    return parsed;
  });
}
