import { commentLines } from "../proxy/lines.ts";

/** A line of an nginx configuration, or a word about what follows. */
export type Directive =
  | { readonly kind: "directive"; readonly words: readonly string[] }
  | { readonly kind: "block"; readonly head: string; readonly body: readonly Directive[] }
  | { readonly kind: "remark"; readonly text: string };

/** A directive and its arguments. An argument that holds what nginx gives a meaning is quoted, unless it has quotes. */
export function directive(...words: readonly string[]): Directive {
  return { kind: "directive", words };
}

export function block(head: string, body: readonly Directive[]): Directive {
  return { kind: "block", head, body };
}

export function remark(text: string): Directive {
  return { kind: "remark", text };
}

/** A configuration as text, two blanks a level. */
export function nginxText(directives: readonly Directive[], indent = ""): string {
  return directives
    .map((each) => {
      if (each.kind === "remark") return remarkText(each.text, indent);
      if (each.kind === "directive") return `${indent}${each.words.map(argument).join(" ")};\n`;
      return each.body.length === 0
        ? `${indent}${each.head} {}\n`
        : `${indent}${each.head} {\n${nginxText(each.body, `${indent}  `)}${indent}}\n`;
    })
    .join("");
}

function argument(word: string): string {
  if (/^".*"$/.test(word) || /^[^\s"'\\{};#]+$/.test(word)) return word;
  return `"${word.replace(/["\\]/g, "\\$&")}"`;
}

/** Characters of a line with a remark. */
const remarkWidth = 99;

function remarkText(text: string, indent: string): string {
  return commentLines(text, remarkWidth - indent.length)
    .map((line) => `${indent}#${line}\n`)
    .join("");
}
