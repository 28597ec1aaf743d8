import type { LogEntry } from "weir/sdk";

/** A subject with places that are filled from a log entry. */
export interface SubjectTemplate {
  /** The subject of an entry. No value can add a token to it, or stand for more than itself. */
  of(entry: Pick<LogEntry, "name" | "severity" | "fields">): string;
  /** The same with `*` for each token that has a place: what a stream listens to. */
  readonly pattern: string;
}

type Part = string | { readonly read: (entry: Pick<LogEntry, "name" | "severity" | "fields">) => unknown };

/** The longest text of a value in a subject, in characters; what is longer is cut. */
const maxValue = 128;

/**
 * Reads a template such as `weir.logs.{log}.{fields.code}`: `{log}`, `{severity}` and `{fields.NAME}` are places. Its
 * first token must be text, not beginning with `$` or `_`, so that no entry reaches subjects of the server or of its
 * clients. Answers what is wrong with a text that is none.
 */
export function parseSubject(template: string): SubjectTemplate | string {
  if (template.length > 256) return "expected at most 256 characters";
  const tokens: Part[][] = [];
  for (const [position, token] of splitTokens(template).entries()) {
    const parts: Part[] = [];
    for (const piece of token.split(/(\{[^{}]*\})/).filter((text) => text !== "")) {
      const part = piece.startsWith("{") && piece.endsWith("}") ? placeOf(piece.slice(1, -1)) : piece;
      if (part === undefined) return `expected {log}, {severity} or {fields.NAME}, got ${piece}`;
      if (typeof part === "string" && /[^\x21-\x7e]|[*>{}]/.test(part))
        return "expected tokens of printable ASCII without spaces, * and >";
      parts.push(part);
    }
    if (parts.length === 0) return "expected tokens with a dot between each two";
    if (position === 0 && (parts.some((part) => typeof part !== "string") || /^[$_]/.test(token)))
      return "expected a first token that is text and does not begin with $ or _";
    tokens.push(parts);
  }
  return {
    of: (entry) =>
      tokens
        .map((parts) => parts.map((part) => (typeof part === "string" ? part : tokenText(part.read(entry)))).join(""))
        .join("."),
    pattern: tokens.map((parts) => (parts.every((part) => typeof part === "string") ? parts.join("") : "*")).join("."),
  };
}

/** Cuts at the dots that are not within braces. */
function splitTokens(template: string): string[] {
  return template
    .replace(/\{[^{}]*\}/g, (place) => place.replaceAll(".", "\0"))
    .split(".")
    .map(restoreDots);
}

function restoreDots(token: string): string {
  return token.replaceAll("\0", ".");
}

function placeOf(name: string): Part | undefined {
  if (name === "log") return { read: (entry) => entry.name };
  if (name === "severity") return { read: (entry) => entry.severity };
  if (!name.startsWith("fields.") || name.length === "fields.".length) return undefined;
  const field = name.slice("fields.".length);
  return { read: ({ fields }) => (Object.hasOwn(fields, field) ? fields[field] : undefined) };
}

/**
 * A value as part of one token: what separates tokens, stands for many or is not printable ASCII is escaped as `%XX` of
 * its UTF-8 bytes, and so is `%`. A value that is not there is `unknown`, an empty one `empty`.
 */
function tokenText(value: unknown): string {
  if (value === undefined || value === null) return "unknown";
  const text = typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value);
  if (text === "") return "empty";
  return Buffer.from(text.slice(0, maxValue), "utf8")
    .toString("latin1")
    .replace(/[^\x21-\x7e]|[.*>%]/g, escape);
}

function escape(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
