import { Fault } from "../attributes/fault.ts";
import { Compilation, type Extras } from "./compilation.ts";
import { type Dynamic, dynamicTypeName, unbox } from "./dynamic.ts";
import type { Environment, Equality, Expression, ExpressionProblem } from "./expression.ts";
import { Meter } from "./meter.ts";
import type { Node } from "./node.ts";
import { attributeOf, mapAttributeOf } from "./names.ts";
import { parse } from "./parser.ts";
import { type Part, type Run, accepts, isMissing } from "./part.ts";
import { sharedBy } from "./shared.ts";
import { SyntaxProblem } from "./syntax-problem.ts";
import { compileNode } from "./tree.ts";
import type { Type } from "./type.ts";
import { assignable, typeName } from "./typing.ts";

export interface CompileOptions {
  /** The types of which the expression must be one. Left out: any type. */
  readonly expected?: readonly Type[];
  /** The most characters of the text. Default 16 KiB. */
  readonly maxLength?: number;
  /** The most steps of one evaluation, see `limits.expressionCost`. Default 100,000. */
  readonly maxCost?: number;
}

/** An expression, or what is wrong with the text: all that was found. */
export type Compiled<T = unknown> =
  | { readonly expression: Expression<T>; readonly problems?: undefined }
  | { readonly expression?: undefined; readonly problems: readonly ExpressionProblem[] };

/** Compiles CEL text. Never throws for what the text says. `T` is what the caller asked for by `expected`. */
export function compileExpression<T = unknown>(
  source: string,
  environment: Environment,
  options?: CompileOptions,
): Compiled<T> {
  return compileWith<T>(source, environment, {}, options);
}

/** {@link compileExpression} with what only the specification's own tests need. */
export function compileWith<T>(
  source: string,
  environment: Environment,
  extras: Extras,
  options?: CompileOptions,
): Compiled<T> {
  const maxLength = options?.maxLength ?? 16_384;
  if (source.length > maxLength) {
    const message = `expected an expression of at most ${maxLength} characters, found ${source.length}`;
    return { problems: [tooLarge(message, maxLength, source.length - maxLength)] };
  }
  let tree: Node;
  try {
    tree = parse(source);
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    if (error.tooLarge) return { problems: [tooLarge(error.message, error.offset, error.length)] };
    const span = { offset: error.offset, length: error.length };
    return { problems: [{ phase: "parse", code: "WEIR_EXPRESSION_SYNTAX", message: error.message, span }] };
  }
  return compileTree(source, tree, environment, extras, options);
}

/** Compiles a tree, whatever language it was read from. */
function compileTree<T>(
  source: string,
  tree: Node,
  environment: Environment,
  extras: Extras,
  options?: CompileOptions,
): Compiled<T> {
  const meter = new Meter(options?.maxCost ?? 100_000);
  const shared = sharedBy(environment.layout);
  const c = new Compilation({ environment, extras, meter, shared, compile: compileNode });
  const part = c.part(tree);
  const run = expect(c, tree, part, options?.expected);
  if (c.problems.length > 0) return { problems: c.problems };
  const { slot, constant, type, guard, textTest } = part;
  const equalities = equalitiesOf(c, tree);
  for (const { slot, value } of equalities) environment.layout.declareText(slot, value);
  const expression: Expression<T> = {
    source,
    type,
    evaluate: (c.isMetered ? restarted(meter, run) : run) as Expression<T>["evaluate"],
    uses: c.uses,
    equalities,
    equalitiesOnly: equalities.length === operandsOf(tree).length,
    ...(constant === undefined ? undefined : { constant: { value: constant.value as T } }),
    ...(slot === undefined ? undefined : { slot }),
    ...(guard === undefined ? undefined : { guard: guard as Expression<boolean>["evaluate"] }),
    ...(textTest === undefined ? undefined : { textTest }),
  };
  return { expression };
}

function tooLarge(message: string, offset: number, length: number): ExpressionProblem {
  return { phase: "parse", code: "WEIR_EXPRESSION_TOO_LARGE", message, span: { offset, length: Math.max(1, length) } };
}

function restarted(meter: Meter, run: Run): Run {
  return (bag) => {
    meter.restart();
    return run(bag);
  };
}

/** Checks the whole's type. A `dyn` is looked at at run time where one type only is expected. */
function expect(c: Compilation, tree: Node, part: Part, expected: readonly Type[] | undefined): Run {
  if (expected === undefined) return part.run;
  const match = expected.find((type) => assignable(part.type, type));
  if (match !== undefined) return part.type.kind === "dyn" ? oneOf(expected, part.run) : part.run;
  const wanted = expected.map(typeName).join(" or ");
  return c.problem(tree, `expected an expression of type ${wanted}, found ${typeName(part.type)}`).run;
}

function oneOf(expected: readonly Type[], run: Run): Run {
  return (bag) => {
    const value = run(bag) as Dynamic | undefined | Fault;
    if (isMissing(value)) return value;
    if (expected.some((type) => accepts(type, value))) return unbox(value);
    return new Fault(
      `expected a value of type ${expected.map(typeName).join(" or ")}, found ${dynamicTypeName(value)}`,
    );
  };
}

/** The operands of the outermost `&&`; the whole where there is none. */
function operandsOf(tree: Node): readonly Node[] {
  return tree.kind === "and" ? tree.operands : [tree];
}

/** Tests `slot == "text"` among the operands of the outermost `&&`. */
function equalitiesOf(c: Compilation, tree: Node): Equality[] {
  return operandsOf(tree).flatMap((operand) => {
    if (operand.kind !== "binary" || operand.operator !== "==") return [];
    const slot = stringSlot(c, operand.left) ?? stringSlot(c, operand.right);
    const literal = operand.left.kind === "literal" ? operand.left : operand.right;
    if (slot === undefined || literal.kind !== "literal" || literal.type !== "string") return [];
    return [{ slot, value: literal.value }];
  });
}

function stringSlot(c: Compilation, node: Node): number | undefined {
  const { layout } = c.environment;
  if (node.kind === "name" || node.kind === "select") {
    const attribute = attributeOf(c, node);
    if (attribute?.type === "string") return layout.declare(attribute.name, "string");
  }
  if (node.kind === "select" || node.kind === "index") {
    const map = mapAttributeOf(c, node.operand);
    if (map === undefined) return undefined;
    if (node.kind === "select") return node.optional ? undefined : layout.declareKey(map.name, node.field);
    if (node.index.kind === "literal" && node.index.type === "string" && !node.optional)
      return layout.declareKey(map.name, node.index.value);
  }
  return undefined;
}
