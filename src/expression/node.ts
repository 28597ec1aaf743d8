import type { Int64 } from "../attributes/value.ts";

interface NodeBase {
  /** Where the node's text begins, in UTF-16 units. */
  readonly offset: number;
  readonly length: number;
  /** How many nodes lie on the longest way down, this one included. The parser bounds it, so that recursion is safe. */
  readonly depth: number;
}

type LiteralNode = NodeBase & { readonly kind: "literal" } & (
    | { readonly type: "int64" | "uint64"; readonly value: Int64 }
    | { readonly type: "double"; readonly value: number }
    | { readonly type: "string"; readonly value: string }
    | { readonly type: "bytes"; readonly value: Uint8Array }
    | { readonly type: "bool"; readonly value: boolean }
    | { readonly type: "null"; readonly value: null }
  );

/** A single name. `absolute`: written with a leading point. */
export type NameNode = NodeBase & { readonly kind: "name"; readonly name: string; readonly absolute: boolean };

/** `operand.field`, or `operand.?field` when `optional`. */
export type SelectNode = NodeBase & {
  readonly kind: "select";
  readonly operand: Node;
  readonly field: string;
  readonly optional: boolean;
};

/** `operand[index]`, or `operand[?index]` when `optional`. */
export type IndexNode = NodeBase & {
  readonly kind: "index";
  readonly operand: Node;
  readonly index: Node;
  readonly optional: boolean;
};

/** `name(args)` or `target.name(args)`; macros too. */
export type CallNode = NodeBase & {
  readonly kind: "call";
  readonly name: string;
  /** Where the name stands. */
  readonly nameOffset: number;
  readonly target?: Node;
  readonly args: readonly Node[];
};

export type UnaryNode = NodeBase & { readonly kind: "unary"; readonly operator: "!" | "-"; readonly operand: Node };

export type BinaryOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "+" | "-" | "*" | "/" | "%";

export type BinaryNode = NodeBase & {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly left: Node;
  readonly right: Node;
};

/** A whole chain of `&&` or of `||`, however long, as one node. */
export type LogicNode = NodeBase & { readonly kind: "and" | "or"; readonly operands: readonly Node[] };

export type TernaryNode = NodeBase & {
  readonly kind: "ternary";
  readonly condition: Node;
  readonly whenTrue: Node;
  readonly whenFalse: Node;
};

/** An element of a list; `optional` for `?value`, which is left out when the optional is none. */
export interface ElementNode {
  readonly value: Node;
  readonly optional: boolean;
}

export type ListNode = NodeBase & { readonly kind: "list"; readonly elements: readonly ElementNode[] };

export type MapNode = NodeBase & {
  readonly kind: "map";
  readonly entries: readonly (ElementNode & { readonly key: Node })[];
};

/** `type.Name{field: value}`. */
export type MessageNode = NodeBase & {
  readonly kind: "message";
  readonly name: string;
  readonly absolute: boolean;
  readonly fields: readonly (ElementNode & { readonly name: string; readonly offset: number })[];
};

/** An expression as it was written. Both languages, CEL and CEXL, are read into this tree. */
export type Node =
  | LiteralNode
  | NameNode
  | SelectNode
  | IndexNode
  | CallNode
  | UnaryNode
  | BinaryNode
  | LogicNode
  | TernaryNode
  | ListNode
  | MapNode
  | MessageNode;

/** `a.b.c` as its parts, or `undefined` when the node is anything else. */
export function dottedName(node: Node): { readonly parts: readonly string[]; readonly absolute: boolean } | undefined {
  const parts: string[] = [];
  let at = node;
  while (at.kind === "select" && !at.optional) {
    parts.push(at.field);
    at = at.operand;
  }
  if (at.kind !== "name") return undefined;
  parts.push(at.name);
  return { parts: parts.reverse(), absolute: at.absolute };
}
