import { Fault } from "../attributes/fault.ts";
import { compileHas } from "./access.ts";
import type { Compilation, Local } from "./compilation.ts";
import { type Dynamic, Optional, dynamicTypeName, isList, isMap, keysOf, none } from "./dynamic.ts";
import { condition } from "./logic.ts";
import { type Meter, tooCostly } from "./meter.ts";
import type { CallNode, Node } from "./node.ts";
import { type Part, type Run, boxed, isMissing } from "./part.ts";
import type { Type } from "./type.ts";
import { asMap, listOf, optionalOf, typeName, types } from "./typing.ts";

/** `range.name(variable, ...)`: which macros there are and how many arguments each takes. */
const rangeMacros: Readonly<
  Record<string, { readonly arity: readonly number[]; readonly compile: (c: Compilation, loop: Loop) => Part }>
> = {
  all: { arity: [2], compile: (c, loop) => quantifier(c, loop, false) },
  exists: { arity: [2], compile: (c, loop) => quantifier(c, loop, true) },
  exists_one: { arity: [2], compile: existsOne },
  existsOne: { arity: [2], compile: existsOne },
  filter: { arity: [2], compile: filter },
  map: { arity: [2, 3], compile: map },
};

/** Macros that take an optional: `optional.optMap(variable, expression)`. */
const optionalMacros = new Set(["optMap", "optFlatMap"]);

export const macroNames: readonly string[] = ["has", ...Object.keys(rangeMacros), ...optionalMacros, "cel.bind"];

/** Compiles a call that is a macro, which looks like a function but decides itself what of it is evaluated. */
export function compileMacro(c: Compilation, node: CallNode): Part | undefined {
  const { name, target, args } = node;
  if (target === undefined) {
    if (name !== "has") return undefined;
    return args.length === 1 ? compileHas(c, args[0]!) : c.problem(node, `expected one argument of has()`);
  }
  if (name === "bind" && target.kind === "name" && target.name === "cel") return bind(c, node);
  const range = Object.hasOwn(rangeMacros, name) ? rangeMacros[name]! : undefined;
  if (range?.arity.includes(args.length) === true) {
    const variable = variableName(c, args[0]!);
    if (typeof variable !== "string") return variable;
    return range.compile(c, new Loop(c, target, variable, args.slice(1)));
  }
  if (optionalMacros.has(name) && args.length === 2) return optMap(c, node, target);
  return undefined;
}

function variableName(c: Compilation, node: Node): string | Part {
  if (node.kind === "name" && !node.absolute) return node.name;
  return c.problem(node, "expected a simple name for the variable of the macro");
}

/** What all macros over a list or a map's keys have in common. */
class Loop {
  readonly #c: Compilation;
  readonly #meter: Meter;
  readonly local: Local;
  readonly args: readonly Node[];
  readonly #items: Run;

  constructor(c: Compilation, range: Node, variable: string, args: readonly Node[]) {
    const part = c.part(range);
    this.#c = c;
    this.#meter = c.meter;
    this.args = args;
    this.local = { name: variable, type: itemType(c, range, part.type), cell: { value: undefined } };
    this.#items = boxed(part);
  }

  body(index: number): Part {
    return this.#c.within(this.local, this.args[index]!);
  }

  /** The elements of the range, or why there are none. */
  items(bag: Parameters<Run>[0]): readonly Dynamic[] | undefined | Fault {
    const value = this.#items(bag) as Dynamic | undefined | Fault;
    if (isMissing(value) || isList(value)) return value;
    return isMap(value) ? keysOf(value) : new Fault(`expected a list or a map, found ${dynamicTypeName(value)}`);
  }

  /** Gives each element to the body until `visit` says stop; what it says last is the outcome. */
  each(bag: Parameters<Run>[0], visit: (item: Dynamic) => unknown): unknown {
    const items = this.items(bag);
    if (isMissing(items)) return items;
    const { cell } = this.local;
    for (const item of items) {
      if (!this.#meter.spend(1)) return tooCostly;
      cell.value = item;
      const outcome = visit(item);
      if (outcome !== go) return outcome;
    }
    cell.value = undefined;
    return go;
  }
}

/** Says that a loop goes on, or has come to its end. */
const go = Symbol("go");

function itemType(c: Compilation, range: Node, type: Type): Type {
  if (type.kind === "list") return type.element;
  const map = asMap(type);
  if (map !== undefined) return map.key;
  if (type.kind !== "dyn") c.problem(range, `expected a list or a map before the macro, found ${typeName(type)}`);
  return types.dyn;
}

/** `all` (an element that is false decides) and `exists` (one that is true does), whatever the others are. */
function quantifier(c: Compilation, loop: Loop, decisive: boolean): Part {
  const run = condition(c, loop.args[0]!, loop.body(0), "of each element");
  return {
    type: types.bool,
    run: (bag) => {
      let fault: Fault | undefined;
      let absent = false;
      const outcome = loop.each(bag, () => {
        const value = run(bag);
        if (value === decisive) return decisive;
        if (value === undefined) absent = true;
        else if (value instanceof Fault) fault ??= value;
        return go;
      });
      if (outcome !== go) return outcome;
      return fault ?? (absent ? undefined : !decisive);
    },
  };
}

function existsOne(c: Compilation, loop: Loop): Part {
  const run = condition(c, loop.args[0]!, loop.body(0), "of each element");
  return {
    type: types.bool,
    run: (bag) => {
      let count = 0;
      const outcome = loop.each(bag, () => {
        const value = run(bag);
        if (typeof value !== "boolean") return value;
        if (value) count++;
        return go;
      });
      return outcome === go ? count === 1 : outcome;
    },
  };
}

function filter(c: Compilation, loop: Loop): Part {
  const run = condition(c, loop.args[0]!, loop.body(0), "of each element");
  return {
    type: listOf(loop.local.type),
    run: (bag) => {
      const kept: Dynamic[] = [];
      const outcome = loop.each(bag, (item) => {
        const value = run(bag);
        if (typeof value !== "boolean") return value;
        if (value) kept.push(item);
        return go;
      });
      return outcome === go ? kept : outcome;
    },
  };
}

/** `map(x, f)` and `map(x, condition, f)`. */
function map(c: Compilation, loop: Loop): Part {
  const test = loop.args.length === 2 ? condition(c, loop.args[0]!, loop.body(0), "of each element") : undefined;
  const body = loop.body(loop.args.length - 1);
  const run = boxed(body);
  return {
    type: listOf(body.type),
    run: (bag) => {
      const made: Dynamic[] = [];
      const outcome = loop.each(bag, () => {
        const wanted = test === undefined ? true : test(bag);
        if (typeof wanted !== "boolean") return wanted;
        if (!wanted) return go;
        const value = run(bag) as Dynamic | undefined | Fault;
        if (isMissing(value)) return value;
        made.push(value);
        return go;
      });
      return outcome === go ? made : outcome;
    },
  };
}

/** `o.optMap(x, f)`: f of the value if there is one; `optFlatMap`: where f gives an optional itself. */
function optMap(c: Compilation, node: CallNode, target: Node): Part {
  const variable = variableName(c, node.args[0]!);
  if (typeof variable !== "string") return variable;
  const operand = c.part(target);
  if (operand.type.kind !== "optional" && operand.type.kind !== "dyn")
    return c.problem(target, `expected an optional before .${node.name}(), found ${typeName(operand.type)}`);
  const inner = operand.type.kind === "optional" ? operand.type.value : types.dyn;
  const local: Local = { name: variable, type: inner, cell: { value: undefined } };
  const body = c.within(local, node.args[1]!);
  const flat = node.name === "optFlatMap";
  if (flat && body.type.kind !== "optional" && body.type.kind !== "dyn")
    return c.problem(node.args[1]!, `expected an optional from optFlatMap, found ${typeName(body.type)}`);
  const run = boxed(body);
  return {
    type: flat ? body.type : optionalOf(body.type),
    run: (bag) => {
      const value = operand.run(bag) as Dynamic | undefined | Fault;
      if (isMissing(value)) return value;
      if (!(value instanceof Optional)) return new Fault(`expected an optional, found ${dynamicTypeName(value)}`);
      if (value.value === undefined) return none;
      local.cell.value = value.value;
      const result = run(bag) as Dynamic | undefined | Fault;
      local.cell.value = undefined;
      return isMissing(result) || flat ? result : new Optional(result);
    },
  };
}

/** `cel.bind(x, value, expression)`: the value under a name, computed once. */
function bind(c: Compilation, node: CallNode): Part {
  if (node.args.length !== 3) return c.problem(node, "expected cel.bind(name, value, expression)");
  const variable = variableName(c, node.args[0]!);
  if (typeof variable !== "string") return variable;
  const value = c.part(node.args[1]!);
  const local: Local = { name: variable, type: value.type, cell: { value: undefined } };
  const body = c.within(local, node.args[2]!);
  const run = boxed(value);
  return {
    type: body.type,
    run: (bag) => {
      const held = run(bag) as Dynamic | undefined | Fault;
      if (isMissing(held)) return held;
      local.cell.value = held;
      const result = body.run(bag);
      local.cell.value = undefined;
      return result;
    },
  };
}
