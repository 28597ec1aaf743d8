/**
 * A YAML value with its place: offsets of its first character and of the first one after it. Trees of these live only
 * while a file is read.
 */
export type Node = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: string | number | bigint | boolean | null;
  /** The text after quotes, escapes and folding; for a number or a boolean as it is written. */
  readonly text: string;
  readonly style: "plain" | "single" | "double" | "block";
  readonly start: number;
  readonly end: number;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly Node[];
  readonly start: number;
  readonly end: number;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: readonly Entry[];
  readonly start: number;
  readonly end: number;
}

export interface Entry {
  readonly key: ScalarNode;
  readonly value: Node;
}

/** What a value is, for "expected ..., got ...". */
export function describe(node: Node): string {
  if (node.kind === "map") return node.entries.length === 0 ? "an empty map" : "a map";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "nothing";
  if (node.text === "") return "an empty text";
  const text = node.text.length > 60 ? `${node.text.slice(0, 57)}...` : node.text;
  return typeof node.value === "string" ? JSON.stringify(text) : text;
}

/** The node of a key in a map. */
export function keyNode(map: MapNode, key: string): ScalarNode | undefined {
  return map.entries.find((entry) => entry.key.text === key)?.key;
}

/** The value of a key in a map. */
export function valueOf(map: MapNode, key: string): Node | undefined {
  return map.entries.find((entry) => entry.key.text === key)?.value;
}
