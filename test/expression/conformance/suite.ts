import { type IncrementalTest, getConformanceSuite } from "@bufbuild/cel-spec/testdata/tests.js";
import { getTestRegistry } from "@bufbuild/cel-spec/testdata/registry.js";
import type { Type as SpecType } from "@bufbuild/cel-spec/cel/expr/checked_pb.js";
import type { Value as SpecValue } from "@bufbuild/cel-spec/cel/expr/value_pb.js";
import { createRegistry } from "@bufbuild/protobuf";
import { anyUnpack, file_google_protobuf_empty, file_google_protobuf_field_mask } from "@bufbuild/protobuf/wkt";
import { Bag } from "../../../src/attributes/bag.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import type { Variable } from "../../../src/expression/compilation.ts";
import { compileWith } from "../../../src/expression/compile.ts";
import {
  Double,
  type Dynamic,
  DynamicMap,
  Optional,
  TypeValue,
  Uint,
  box,
  dynamicTypeName,
  isList,
  isMap,
  keysOf,
  lookup,
  unbox,
} from "../../../src/expression/dynamic.ts";
import { dynamicEquals } from "../../../src/expression/equality.ts";
import { normalize } from "../../../src/expression/integer.ts";
import { Meter } from "../../../src/expression/meter.ts";
import type { Type } from "../../../src/expression/type.ts";
import { listOf, mapOf, optionalOf, typeName, types } from "../../../src/expression/typing.ts";
import { ProtobufTypes } from "./messages.ts";

/** One test of the specification. */
export interface SpecTest {
  readonly file: string;
  /** `section/name`, as a person would look it up. */
  readonly name: string;
  readonly expr: string;
  readonly original: IncrementalTest["original"];
}

/** How a test came out. */
export type Outcome = { readonly passed: true } | { readonly passed: false; readonly why: string };

const registry = createRegistry(getTestRegistry(), file_google_protobuf_empty, file_google_protobuf_field_mask);
const messages = new ProtobufTypes(registry);

/** Every test of the specification's data, file by file. */
export function specTests(): SpecTest[] {
  return getConformanceSuite().suites.flatMap((file) =>
    file.suites.flatMap((section) =>
      section.tests.map((test) => ({
        file: file.name,
        name: `${section.name}/${test.name}`,
        expr: test.original.expr,
        original: test.original,
      })),
    ),
  );
}

/** Runs a test through the parser, checker and evaluator that policies use. */
export function run({ original }: SpecTest): Outcome {
  const layout = new Layout();
  const variables = new Map<string, Variable>();
  for (const { name, declKind } of original.typeEnv) {
    if (declKind.case !== "ident") return { passed: false, why: "declares a function" };
    variables.set(name, { type: declKind.value.type ? typeFrom(declKind.value.type) : types.dyn, value: undefined });
  }
  for (const [name, binding] of Object.entries(original.bindings)) {
    if (binding.kind.case !== "value") return { passed: false, why: "binds something else than a value" };
    const value = valueFrom(binding.kind.value);
    const type = variables.get(name)?.type ?? types.dyn;
    variables.set(name, { type, value: type.kind === "dyn" ? value : unbox(value) });
  }
  const compiled = compileWith(
    original.expr,
    { vocabulary: new Map(), layout, phase: "report" },
    { variables, messages, container: original.container, unchecked: original.disableCheck },
  );
  const wanted = original.resultMatcher;
  const wantsError = wanted.case === "evalError" || wanted.case === "anyEvalErrors";
  if (compiled.problems !== undefined) {
    const why = compiled.problems.map((problem) => problem.message).join("; ");
    const known = compiled.problems.every(
      ({ code }) => code !== "WEIR_EXPRESSION_UNKNOWN_FUNCTION" && code !== "WEIR_EXPRESSION_SYNTAX",
    );
    return wantsError && known ? { passed: true } : { passed: false, why };
  }
  const { expression } = compiled;
  const deduced = wanted.case === "typedResult" ? wanted.value.deducedType : undefined;
  if (deduced !== undefined && typeName(typeFrom(deduced)) !== typeName(expression.type))
    return { passed: false, why: `has type ${typeName(expression.type)}` };
  if (original.checkOnly) return { passed: true };
  const result = expression.evaluate(new Bag(layout));
  if (result === undefined) return { passed: false, why: "is absent" };
  if (result instanceof Fault) {
    // A function that is not there is not the error that was meant, unless the test is about that.
    const meant = !result.message.startsWith("expected a function") || wantsUnbound(original);
    return wantsError && meant ? { passed: true } : { passed: false, why: result.message };
  }
  if (wantsError) return { passed: false, why: "has a value" };
  const expected =
    wanted.case === "value" ? valueFrom(wanted.value) : wanted.case === "typedResult" ? resultOf(wanted.value) : true;
  const found = box(expression.type.kind, result);
  return same(found, expected) ? { passed: true } : { passed: false, why: `is ${show(found)}` };
}

function wantsUnbound({ resultMatcher }: SpecTest["original"]): boolean {
  return (
    resultMatcher.case === "evalError" && resultMatcher.value.errors.some(({ message }) => /unbound/.test(message))
  );
}

function resultOf(result: { result?: SpecValue | undefined }): Dynamic {
  return result.result === undefined ? null : valueFrom(result.result);
}

/** Equal, of the same type all the way down. NaN is NaN here. */
function same(a: Dynamic, b: Dynamic): boolean {
  if (dynamicTypeName(a) !== dynamicTypeName(b)) return false;
  if (a instanceof Double && b instanceof Double) return a.value === b.value || Object.is(a.value, b.value);
  if (isList(a) && isList(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]!));
  if (isMap(a) && isMap(b))
    return (
      a.size === b.size &&
      keysOf(a).every((key) => {
        const other = lookup(b, key);
        return other !== undefined && same(lookup(a, key)!, other);
      })
    );
  return dynamicEquals(a, b, new Meter(1_000_000)) === true;
}

function show(value: Dynamic): string {
  if (isList(value)) return `[${value.map(show).join(", ")}]`;
  if (isMap(value)) return `{${keysOf(value).map((key) => `${show(key)}: ${show(lookup(value, key)!)}`)}}`;
  if (value instanceof Optional) return value.value === undefined ? "none" : `optional(${show(value.value)})`;
  return `${dynamicTypeName(value)} ${String(value)}`;
}

function valueFrom({ kind }: SpecValue): Dynamic {
  switch (kind.case) {
    case "int64Value":
      return normalize(kind.value);
    case "uint64Value":
      return new Uint(normalize(kind.value));
    case "doubleValue":
      return new Double(kind.value);
    case "boolValue":
    case "stringValue":
    case "bytesValue":
      return kind.value;
    case "typeValue":
      return new TypeValue(kind.value);
    case "enumValue":
      return new TypeValue(`enum ${kind.value.type}`);
    case "listValue":
      return kind.value.values.map(valueFrom);
    case "mapValue": {
      const map = new DynamicMap();
      for (const { key, value } of kind.value.entries) map.add(valueFrom(key!), valueFrom(value!));
      return map;
    }
    case "objectValue":
      return messages.fromProtobuf(anyUnpack(kind.value, registry)!) as Dynamic;
    default:
      return null;
  }
}

const primitives: readonly Type[] = [
  types.dyn,
  types.bool,
  types.int,
  types.uint,
  types.double,
  types.string,
  types.bytes,
];

function typeFrom({ typeKind }: SpecType): Type {
  switch (typeKind.case) {
    case "primitive":
      return primitives[typeKind.value]!;
    case "null":
      return types.null;
    case "listType":
      return listOf(typeKind.value.elemType ? typeFrom(typeKind.value.elemType) : types.dyn);
    case "mapType":
      return mapOf(
        typeKind.value.keyType ? typeFrom(typeKind.value.keyType) : types.dyn,
        typeKind.value.valueType ? typeFrom(typeKind.value.valueType) : types.dyn,
      );
    case "messageType":
      return messages.literalType(typeKind.value);
    case "wellKnown":
      return [types.dyn, types.dyn, types.timestamp, types.duration][typeKind.value]!;
    case "abstractType":
      return typeKind.value.name === "optional_type"
        ? optionalOf(typeFrom(typeKind.value.parameterTypes[0]!))
        : { kind: "message", name: typeKind.value.name };
    default:
      return types.dyn;
  }
}
