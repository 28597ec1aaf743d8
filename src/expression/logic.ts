import { Fault } from "../attributes/fault.ts";
import type { Compilation } from "./compilation.ts";
import type { TextTest } from "./expression.ts";
import { presenceKey } from "./names.ts";
import type { LogicNode, Node, TernaryNode, UnaryNode } from "./node.ts";
import { type Part, type Run, boxed, coerced } from "./part.ts";
import { assignable, join, typeName, types } from "./typing.ts";

/** Compiles a condition: a bool, or a `dyn` that is seen to be one at run time. */
export function condition(c: Compilation, node: Node, part: Part, where: string): Run {
  if (!assignable(part.type, types.bool))
    return c.problem(node, `expected a bool ${where}, found ${typeName(part.type)}`).run;
  return coerced(part, types.bool);
}

/**
 * `&&` and `||`. Either side decides, whatever the other is (cel-spec, langdef.md, "Logical Operators"): `false && x` and
 * `x && false` are false even where `x` has no value. Where neither decides, a fault on any side wins over absence.
 */
export function compileLogic(c: Compilation, node: LogicNode): Part {
  const isAnd = node.kind === "and";
  // Where an attribute is absent its has() decides the whole chain, so no operand's read of it can.
  const tests = node.operands.flatMap((operand) => presenceTests(c, operand, isAnd));
  const symbol = isAnd ? "&&" : "||";
  const parts = node.operands.map((operand) => c.guarded(tests, operand));
  const runs = parts.map((part, i) => condition(c, node.operands[i]!, part, `on each side of ${symbol}`));
  const run = runs.length === 2 ? pair(runs[0]!, runs[1]!, !isAnd) : chain(runs, !isAnd);
  const tested = isAnd ? parts[0]!.presenceOf : undefined;
  if (tested === undefined) return { type: types.bool, run };
  const guard = runs[0]!;
  const textTest = parts.length === 2 ? parts[1]!.textTest : undefined;
  if (textTest?.slot !== tested) return { type: types.bool, run, guard };
  // Where the slot holds a text has() of it is true, and where it holds none has() decides.
  return { type: types.bool, run, guard, textTest: { ...textTest, otherwise: guard } };
}

function pair(first: Run, second: Run, decisive: boolean): Run {
  return (bag) => {
    const a = first(bag);
    if (a === decisive) return decisive;
    const b = second(bag);
    if (b === decisive || a === !decisive) return b;
    return a instanceof Fault ? a : b instanceof Fault ? b : undefined;
  };
}

function chain(runs: readonly Run[], decisive: boolean): Run {
  return (bag) => {
    let fault: Fault | undefined;
    let absent = false;
    for (let i = 0; i < runs.length; i++) {
      const value = runs[i]!(bag);
      if (value === decisive) return decisive;
      if (value === undefined) absent = true;
      else if (value !== !decisive) fault ??= value as Fault;
    }
    return fault ?? (absent ? undefined : !decisive);
  };
}

export function compileNot(c: Compilation, node: UnaryNode, operand: Part): Part {
  const run = condition(c, node.operand, operand, "after !");
  return {
    type: types.bool,
    run: (bag) => {
      const value = run(bag);
      return typeof value === "boolean" ? !value : value;
    },
    // Where has() decides, its outcome would have to be turned round too.
    textTest: operand.guard === undefined ? negated(operand.textTest) : undefined,
  };
}

/** The test with the other outcome. */
export function negated(test: TextTest | undefined): TextTest | undefined {
  return test && { ...test, negated: !test.negated };
}

export function compileTernary(c: Compilation, node: TernaryNode): Part {
  const test = condition(c, node.condition, c.part(node.condition), "before ?");
  const then = c.guarded(presenceTests(c, node.condition, true), node.whenTrue);
  const otherwise = c.guarded(presenceTests(c, node.condition, false), node.whenFalse);
  const type = join(then.type, otherwise.type) ?? (c.extras.unchecked === true ? types.dyn : undefined);
  if (type === undefined)
    return c.problem(
      node,
      `expected the same type on both sides of ":", found ${typeName(then.type)} and ${typeName(otherwise.type)}`,
    );
  const yes = type.kind === "dyn" ? boxed(then) : coerced(then, type);
  const no = type.kind === "dyn" ? boxed(otherwise) : coerced(otherwise, type);
  return {
    type,
    run: (bag) => {
      const value = test(bag);
      return value === true ? yes(bag) : value === false ? no(bag) : value;
    },
  };
}

/** The attributes that are known to be present when a condition is `outcome`. */
function presenceTests(c: Compilation, node: Node, outcome: boolean): string[] {
  if (node.kind === "unary" && node.operator === "!") return presenceTests(c, node.operand, !outcome);
  if ((node.kind === "and" && outcome) || (node.kind === "or" && !outcome))
    return node.operands.flatMap((operand) => presenceTests(c, operand, outcome));
  if (!outcome || node.kind !== "call" || node.name !== "has" || node.target !== undefined) return [];
  const argument = node.args[0];
  const key = argument === undefined ? undefined : presenceKey(c, argument);
  return key === undefined ? [] : [key, ...key.split("\n", 1)];
}
