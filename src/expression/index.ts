export { compileExpression } from "./compile.ts";
export type { Compiled, CompileOptions } from "./compile.ts";
export type { AttributeUse, Environment, Equality, Expression, ExpressionProblem, TextTest } from "./expression.ts";
export type { Type } from "./type.ts";
export { typeName } from "./typing.ts";
