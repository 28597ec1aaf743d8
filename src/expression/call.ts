import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import { nearest } from "../util/nearest.ts";
import type { Compilation } from "./compilation.ts";
import { type Dynamic, dynamicTypeName, isList, isMap, unbox, box } from "./dynamic.ts";
import type { TextTest } from "./expression.ts";
import { library } from "./library/index.ts";
import { compileMacro, macroNames } from "./macro.ts";
import { tooCostly } from "./meter.ts";
import { candidates, globalName, isUnknownName } from "./names.ts";
import type { CallNode, Node } from "./node.ts";
import type { Apply, Overload } from "./overload.ts";
import { type Part, type Run, accepts, boxed, coerced, constantPart, isMissing, unboxed } from "./part.ts";
import type { Type } from "./type.ts";
import { assignable, isDyn, typeName, types } from "./typing.ts";

/** Calls of functions, methods and macros. */
export function compileCall(c: Compilation, node: CallNode): Part {
  const macro = compileMacro(c, node);
  if (macro !== undefined) return macro;
  const place = { offset: node.nameOffset, length: node.name.length };
  if (node.target === undefined) {
    const name = candidates(c, node.name, false).find((candidate) => library.has(candidate)) ?? node.name;
    return apply(c, node, place, name, false, node.args);
  }
  const namespace = globalName(c, node.target);
  const qualified = namespace === undefined ? undefined : `${namespace}.${node.name}`;
  if (qualified !== undefined && library.has(qualified)) return apply(c, node, place, qualified, false, node.args);
  if (qualified !== undefined && isUnknownName(c, node.target) && !isMistyped(c, namespace!, node.name)) {
    for (const argument of node.args) c.part(argument);
    const whole = { offset: node.offset, length: place.offset + place.length - node.offset };
    return unknownFunction(c, whole, qualified, false);
  }
  return apply(c, node, place, node.name, true, [node.target, ...node.args]);
}

/** Whether `name.method` is more likely a method on a mistyped attribute than a function in a namespace. */
function isMistyped(c: Compilation, name: string, method: string): boolean {
  return (
    library.has(method) ||
    nearest(method, library.keys()) !== undefined ||
    nearest(name, c.vocabulary.keys()) !== undefined
  );
}

/** `a + b`, `-a`: operators are functions of their sign. */
export function compileOperator(c: Compilation, node: Node, operator: string, operands: readonly Node[]): Part {
  return apply(c, node, node, operator, false, operands);
}

interface Place {
  readonly offset: number;
  readonly length: number;
}

function apply(
  c: Compilation,
  node: Node,
  place: Place,
  name: string,
  method: boolean,
  operands: readonly Node[],
): Part {
  // The arguments are compiled first, so that their problems show whatever is wrong with the call.
  const args = operands.map((operand) => c.part(operand));
  const named = library.get(name);
  if (named === undefined) return unknownFunction(c, place, name, method);
  const shaped = named.filter((overload) => overload.method === method && overload.params.length === args.length);
  const given = args.map((arg) => arg.type);
  const fitting = shaped.filter((overload) => fits(overload, given));
  if (fitting.length === 0) return mismatch(c, node, place, name, method, named, given);
  const exact = fitting.find((overload) => isExact(overload, given));
  const chosen = exact ?? (fitting.length === 1 ? fitting[0] : undefined);
  return chosen === undefined ? dispatch(c, name, fitting, args) : call(c, chosen, args, operands);
}

function fits(overload: Overload, args: readonly Type[]): boolean {
  if (!overload.params.every((param, i) => assignable(args[i]!, param))) return false;
  return overload.refine === undefined || overload.refine(args) !== undefined;
}

/** Whether no argument has to be looked at at run time to know that the overload is the right one. */
function isExact(overload: Overload, args: readonly Type[]): boolean {
  return overload.params.every((param, i) => isDyn(param) || (!isDyn(args[i]!) && args[i]!.kind !== "null"));
}

function call(c: Compilation, overload: Overload, args: readonly Part[], operands: readonly Node[]): Part {
  const type = overload.refine?.(args.map((arg) => arg.type)) ?? overload.result;
  const constants = args.map((arg, i) => constantOf(arg, overload.params[i]!));
  const made = overload.bind(c, constants);
  if (made instanceof Fault) {
    const at = operands[constants.findLastIndex((constant) => constant !== undefined)]!;
    return c.problem(at, made.message, overload.name === "matches" ? { code: "WEIR_EXPRESSION_REGEX" } : undefined);
  }
  const runs = args.map((arg, i) => inLoop(c, coerced(arg, overload.params[i]!)));
  const run = c.inLoop ? applied(made, runs) : (appliedToSlot(made, args, constants) ?? applied(made, runs));
  const textTest = c.inLoop ? undefined : textTestOf(overload, args, constants);
  const result = overload.refine === undefined ? { type, run, textTest } : unboxed(type, run);
  if (constants.length > 0 && constants.every((constant) => constant !== undefined)) {
    const value = (made as (...values: unknown[]) => unknown)(...constants);
    if (!isMissing(value)) return constantPart(type, overload.refine === undefined ? value : unbox(value as Dynamic));
    if (overload.checked && value instanceof Fault) return c.problem(operands[0]!, value.message);
  }
  return result;
}

/** A constant argument as the parameter holds it. */
function constantOf(arg: Part, param: Type): unknown {
  if (arg.constant === undefined) return undefined;
  if (isDyn(param)) return box(arg.type.kind, arg.constant.value);
  return isDyn(arg.type) || arg.type.kind === "null" ? undefined : arg.constant.value;
}

/** A function of a string slot and perhaps a constant: `request.path.startsWith("/api")`. */
function appliedToSlot(made: Apply, args: readonly Part[], constants: readonly unknown[]): Run | undefined {
  const [subject] = args;
  const [, constant] = constants;
  if (subject?.slot === undefined || subject.type.kind !== "string" || args.length > 2) return undefined;
  if (args.length === 2 && constant === undefined) return undefined;
  const f = made as (a: unknown, b: unknown) => unknown;
  const { slot, run } = subject;
  return (bag) => {
    const value = bag.get(slot);
    return typeof value === "string" ? f(value, constant) : run(bag);
  };
}

/** The methods that compare a text with another one. */
const textTests: ReadonlySet<string> = new Set(["startsWith", "endsWith", "contains"] satisfies TextTest["kind"][]);

function textTestOf(
  { name, method }: Overload,
  [subject]: readonly Part[],
  constants: readonly unknown[],
): TextTest | undefined {
  const text = constants[1];
  if (!method || !textTests.has(name) || subject?.slot === undefined || subject.type.kind !== "string")
    return undefined;
  if (typeof text !== "string") return undefined;
  const { slot, run: otherwise } = subject;
  return { kind: name as TextTest["kind"], slot, texts: [text], negated: false, otherwise };
}

function applied(made: Apply, runs: readonly Run[]): Run {
  const f = made as (...values: unknown[]) => unknown;
  const [first, second] = runs;
  if (first === undefined) return () => f();
  if (runs.length === 1)
    return (bag) => {
      const a = first(bag);
      return isMissing(a) ? a : f(a);
    };
  if (runs.length === 2)
    return (bag) => {
      const a = first(bag);
      if (isMissing(a)) return a;
      const b = second!(bag);
      return isMissing(b) ? b : f(a, b);
    };
  return (bag) => {
    const values = evaluateAll(runs, bag);
    return Array.isArray(values) ? f(...(values as unknown[])) : values;
  };
}

function evaluateAll(runs: readonly Run[], bag: Bag): unknown[] | undefined | Fault {
  const values: unknown[] = [];
  for (const run of runs) {
    const value = run(bag);
    if (isMissing(value)) return value;
    values.push(value);
  }
  return values;
}

/** Arguments inside a macro cost by their length, because they may be worked on once for every element. */
function inLoop(c: Compilation, run: Run): Run {
  if (!c.inLoop) return run;
  const { meter } = c;
  return (bag) => {
    const value = run(bag);
    const size =
      typeof value === "string" || value instanceof Uint8Array
        ? value.length >> 4
        : isList(value)
          ? value.length >> 2
          : isMap(value)
            ? value.size >> 2
            : 0;
    return meter.spend(1 + size) ? value : tooCostly;
  };
}

/** A call whose overload is known only when the values are. */
function dispatch(c: Compilation, name: string, overloads: readonly Overload[], args: readonly Part[]): Part {
  const types = args.map((arg) => arg.type);
  const results = overloads.map((overload) => overload.refine?.(types) ?? overload.result);
  const same = results.every((result) => typeName(result) === typeName(results[0]!));
  const choices = overloads.flatMap((overload) => {
    const made = overload.bind(c, []);
    const f = made as (...values: unknown[]) => unknown;
    const kind = overload.refine === undefined ? overload.result.kind : "dyn";
    return made instanceof Fault ? [] : [{ params: overload.params, f, kind }];
  });
  const runs = args.map((arg) => inLoop(c, boxed(arg)));
  const run: Run = (bag) => {
    const values = evaluateAll(runs, bag) as Dynamic[] | undefined | Fault;
    if (isMissing(values)) return values;
    for (const { params, f, kind } of choices) {
      if (!params.every((param, i) => accepts(param, values[i]!))) continue;
      const value = f(...values.map((item, i) => (isDyn(params[i]!) ? item : unbox(item))));
      return isMissing(value) ? value : box(kind, value);
    }
    return new Fault(`no such overload: ${name}(${values.map(dynamicTypeName).join(", ")})`);
  };
  return unboxed(same ? results[0]! : dynType, run);
}

const dynType: Type = types.dyn;

function unknownFunction(c: Compilation, place: Place, name: string, method: boolean): Part {
  const known = [...library.keys(), ...macroNames].filter((candidate) => /^\w/.test(candidate));
  const suggestion = nearest(name, known);
  return c.problem(place, `expected a function, found ${JSON.stringify(name)}${method ? " after a point" : ""}`, {
    code: "WEIR_EXPRESSION_UNKNOWN_FUNCTION",
    suggestion,
  });
}

function mismatch(
  c: Compilation,
  node: Node,
  place: Place,
  name: string,
  method: boolean,
  overloads: readonly Overload[],
  args: readonly Type[],
): Part {
  const isOperator = !/^\w/.test(name);
  const found = signature(name, method, args);
  if (isOperator) return c.problem(node, `expected operands that ${name} takes, found ${found}`);
  const best = overloads.filter((overload) => overload.method === method);
  const shown = (best.length > 0 ? best : overloads).slice(0, 4);
  const expected = shown.map((overload) => signature(name, overload.method, overload.params));
  return c.problem(place, `expected ${expected.join(" or ")}, found ${found}`);
}

function signature(name: string, method: boolean, params: readonly Type[]): string {
  const names = params.map(typeName);
  if (!/^\w/.test(name)) return names.length === 1 ? `${name}${names[0]}` : names.join(` ${name} `);
  return method ? `${names[0]}.${name}(${names.slice(1).join(", ")})` : `${name}(${names.join(", ")})`;
}
