import { Timestamp } from "../../../attributes/timestamp.ts";
import type { Node } from "../../../policy/yaml/node.ts";
import { choice, parsedText } from "../../../policy/shape/scalars.ts";
import type { Located, Shape } from "../../../policy/shape/shape.ts";
import { refusalCodes } from "../../../sdk/index.ts";
import type { JsonValue, RefusalCode } from "../../../sdk/index.ts";

const codeNames = Object.keys(refusalCodes) as RefusalCode[];

/** The code of a refusal. */
export const refusalCode = choice("a gRPC status code name", codeNames);

/** `ok`, or the code of a refusal. */
export const anyCode = choice("a gRPC status code name", ["ok", ...codeNames]);

export const bool: Shape<boolean> = {
  expected: "true or false",
  schema: { type: "boolean" },
  read(node, reading) {
    const value = node.kind === "scalar" ? node.value : undefined;
    return typeof value === "boolean" ? value : reading.mismatch(node, "true or false");
  },
};

/** An instant, in milliseconds since 1970. */
export const instant = parsedText({
  expected: "a time such as 2026-01-01T00:00:00Z",
  parse(text) {
    const time = Timestamp.parse(text);
    return time && { value: time.ms };
  },
  schema: { type: "string", format: "date-time" },
});

/** Anything, as JSON. Whole numbers that JavaScript would round are text. */
export const json: Shape<Located<JsonValue>> = {
  expected: "a value",
  schema: {},
  read: (node) => ({ value: toJson(node), node }),
};

function toJson(node: Node): JsonValue {
  switch (node.kind) {
    case "list":
      return node.items.map(toJson);
    case "map":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key.text, toJson(value)]));
    case "scalar":
      if (typeof node.value === "bigint") return node.text;
      return Number.isInteger(node.value) && !Number.isSafeInteger(node.value) ? node.text : node.value;
  }
}

/** A list, or a single item that stands for a list of one. */
export function oneOrMore<T>(expected: string, item: Shape<T>): Shape<readonly T[]> {
  return {
    expected,
    schema: { anyOf: [item.schema, { type: "array", items: item.schema }] },
    read(node, reading) {
      const nodes = node.kind === "list" ? node.items : [node];
      return nodes.map((each) => item.read(each, reading)).filter((each) => each !== undefined);
    },
  };
}

/** One shape for what is written as a map, another for what is not. */
export function either<S, M>(expected: string, scalar: Shape<S>, map: Shape<M>): Shape<S | M> {
  return {
    expected,
    schema: { anyOf: [scalar.schema, map.schema] },
    read: (node, reading) => (node.kind === "map" ? map.read(node, reading) : scalar.read(node, reading)),
  };
}

/** What a shape reads, made into something else. `undefined` from `make` says that it has told a problem. */
export function made<T, U>(
  shape: Shape<T>,
  make: (value: T, ...rest: Parameters<Shape<T>["read"]>) => U | undefined,
): Shape<U> {
  return {
    expected: shape.expected,
    schema: shape.schema,
    read(node, reading) {
      const value = shape.read(node, reading);
      return value === undefined ? undefined : make(value, node, reading);
    },
  };
}

/** What a record reads, without its node; nothing where a `required` key has no value, which was told. */
export function valuesOf<T extends { readonly node: unknown }, const K extends keyof T & string = never>(
  shape: Shape<T>,
  required: readonly K[] = [],
): Shape<Omit<T, "node" | K> & { readonly [N in K]: NonNullable<T[N]> }> {
  return made(shape, (read) => {
    if (required.some((key) => read[key] === undefined)) return undefined;
    const values = Object.entries(read).filter(([key]) => key !== "node");
    return Object.fromEntries(values) as Omit<T, "node" | K> & { readonly [N in K]: NonNullable<T[N]> };
  });
}
