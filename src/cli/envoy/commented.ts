import { Document, Scalar, YAMLMap, YAMLSeq, type Node } from "yaml";
import { commentLines } from "../proxy/lines.ts";

const comment = Symbol("comment");

/** A value with a word about it for whoever reads the file. */
interface Said {
  readonly [comment]: string;
  readonly value: Tree;
}

/** A configuration: plain values, some with a comment. Keys whose value is `undefined` are left out. */
export type Tree = string | number | boolean | Said | readonly Tree[] | { readonly [key: string]: Tree | undefined };

/** Says something about a value: a line above it in YAML, nothing in JSON. */
export function said(text: string, value: Tree): Tree {
  return { [comment]: text, value };
}

/** The configuration as plain values, for JSON. */
export function plain(tree: Tree): unknown {
  if (typeof tree !== "object") return tree;
  if (isSaid(tree)) return plain(tree.value);
  if (isList(tree)) return tree.map(plain);
  return Object.fromEntries(entriesOf(tree).map(([key, value]) => [key, plain(value)]));
}

/** The configuration as YAML, with a comment above the whole. */
export function yamlText(tree: Tree, heading: string): string {
  const document = new Document(nodeOf(tree));
  document.commentBefore = lines(heading);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function nodeOf(tree: Tree): Node {
  if (typeof tree !== "object") return new Scalar(tree);
  if (isSaid(tree)) {
    const node = nodeOf(tree.value);
    node.commentBefore = lines(tree[comment]);
    return node;
  }
  if (isList(tree)) {
    const list = new YAMLSeq();
    for (const value of tree) list.add(nodeOf(value));
    list.flow = tree.length === 0;
    return list;
  }
  const map = new YAMLMap<Scalar, Node>();
  for (const [name, held] of entriesOf(tree)) {
    const key = new Scalar(name);
    // Above the key, or it would stand between the key and its value.
    if (typeof held === "object" && isSaid(held)) key.commentBefore = lines(held[comment]);
    map.set(key, nodeOf(typeof held === "object" && isSaid(held) ? held.value : held));
  }
  map.flow = map.items.length === 0;
  return map;
}

function isSaid(tree: object): tree is Said {
  return comment in tree;
}

function isList(tree: object): tree is readonly Tree[] {
  return Array.isArray(tree);
}

function entriesOf(tree: { readonly [key: string]: Tree | undefined }): [string, Tree][] {
  return Object.entries(tree).filter((entry): entry is [string, Tree] => entry[1] !== undefined);
}

/** Characters of a line of comment, without its indentation. */
const commentWidth = 88;

function lines(text: string): string {
  return commentLines(text, commentWidth).join("\n");
}
