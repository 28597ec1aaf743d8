import type { AttributeType } from "./value.ts";
import type { Attribute, Vocabulary } from "./vocabulary.ts";

/** A word that cannot be added, and why. */
export interface VocabularyConflict {
  readonly name: string;
  /** What is wrong, as a sentence without its end mark. */
  readonly message: string;
}

const maxNameLength = 256;
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/** Words that CEL does not read as names (google/cel-spec, langdef.md, Syntax). */
const literals = new Set(["true", "false", "null", "in"]);

/** Words that CEL keeps for itself at the start of a name. After a dot they are names like any other. */
const reserved = new Set(
  "as break const continue else for function if import let loop package namespace return var void while".split(" "),
);

/**
 * Adds an operator's own words, known at check time and at report time, to a vocabulary.
 *
 * A word that is there already with the same type stays as it is. Every word that cannot be added is a conflict and is
 * left out: another type for a known name, a name that is not dotted identifiers, a name that is also the beginning of
 * another (`a.b` beside `a.b.c`: an expression could mean either).
 */
export function extendVocabulary(
  standard: Vocabulary,
  own: Readonly<Record<string, AttributeType>>,
): { readonly vocabulary: Vocabulary; readonly conflicts: readonly VocabularyConflict[] } {
  const vocabulary = new Map<string, Attribute>(standard);
  const prefixes = new Map<string, string>();
  for (const name of standard.keys()) notePrefixes(prefixes, name);
  const conflicts: VocabularyConflict[] = [];
  for (const [name, type] of Object.entries(own)) {
    const known = vocabulary.get(name);
    if (known !== undefined) {
      if (known.type !== type) conflicts.push({ name, message: `${name} is built in with the type ${known.type}` });
      continue;
    }
    const message = nameProblem(name) ?? nestingProblem(name, vocabulary, prefixes);
    if (message !== undefined) {
      conflicts.push({ name, message });
      continue;
    }
    vocabulary.set(name, { name, type, known: "check", description: "Declared in weir.yaml." });
    notePrefixes(prefixes, name);
  }
  return { vocabulary, conflicts };
}

function nameProblem(name: string): string | undefined {
  if (name.length > maxNameLength) return `a name has at most ${maxNameLength} characters`;
  if (!namePattern.test(name)) return "a name is identifiers joined by dots, such as tenant.plan";
  const parts = name.split(".");
  const word = parts.find((part) => literals.has(part)) ?? (reserved.has(parts[0]!) ? parts[0] : undefined);
  return word === undefined ? undefined : `"${word}" is a word of the expression language`;
}

function nestingProblem(
  name: string,
  vocabulary: Vocabulary,
  prefixes: ReadonlyMap<string, string>,
): string | undefined {
  const longer = prefixes.get(name);
  if (longer !== undefined) return `${name} is the beginning of the attribute ${longer}`;
  const shorter = beginnings(name).find((beginning) => vocabulary.has(beginning));
  return shorter === undefined ? undefined : `the attribute ${shorter} is the beginning of ${name}`;
}

function notePrefixes(prefixes: Map<string, string>, name: string): void {
  for (const beginning of beginnings(name)) prefixes.set(beginning, name);
}

/** `a` and `a.b` for `a.b.c`. */
function beginnings(name: string): string[] {
  const found: string[] = [];
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) found.push(name.slice(0, dot));
  return found;
}
