import { compileIndex, compileSelect } from "./access.ts";
import { compileList, compileMap, compileMessage } from "./aggregate.ts";
import { compileCall, compileOperator } from "./call.ts";
import { compileEquality, compileOrder } from "./comparison.ts";
import type { Compilation } from "./compilation.ts";
import { compileLogic, compileNot, compileTernary } from "./logic.ts";
import { compileIn } from "./membership.ts";
import { compileName } from "./names.ts";
import type { BinaryNode, Node } from "./node.ts";
import { type Part, constantPart } from "./part.ts";

/** Checks a node and makes it a function over the bag's slots, in one walk. Nothing of the tree is kept. */
export function compileNode(c: Compilation, node: Node): Part {
  switch (node.kind) {
    case "literal":
      return constantPart({ kind: node.type }, typeof node.value === "string" ? c.shared.text(node.value) : node.value);
    case "name":
      return compileName(c, node)!;
    case "select":
      return compileSelect(c, node);
    case "index":
      return compileIndex(c, node);
    case "call":
      return compileCall(c, node);
    case "unary":
      return node.operator === "!"
        ? compileNot(c, node, c.part(node.operand))
        : compileOperator(c, node, "-", [node.operand]);
    case "binary":
      return compileBinary(c, node);
    case "and":
    case "or":
      return compileLogic(c, node);
    case "ternary":
      return compileTernary(c, node);
    case "list":
      return compileList(c, node);
    case "map":
      return compileMap(c, node);
    case "message":
      return compileMessage(c, node);
  }
}

function compileBinary(c: Compilation, node: BinaryNode): Part {
  const { operator } = node;
  switch (operator) {
    case "==":
    case "!=":
      return compileEquality(c, node);
    case "<":
    case "<=":
    case ">":
    case ">=":
      return compileOrder(c, { ...node, operator });
    case "in":
      return compileIn(c, node);
    default:
      return compileOperator(c, node, operator, [node.left, node.right]);
  }
}
