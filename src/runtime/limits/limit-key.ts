import { createHash } from "node:crypto";
import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import { Ip } from "../../attributes/ip.ts";
import { formatValue } from "../../attributes/text.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Value } from "../../attributes/value.ts";
import type { Algorithm } from "../../sdk/index.ts";
import type { LimitRule } from "../../policy/snapshot.ts";

/** The longest key that is passed on as it is; a longer one is replaced by its SHA-256. */
export const maxKeyLength = 256;

const letters: Readonly<Record<Algorithm, string>> = {
  "token-bucket": "b",
  "sliding-window": "s",
  "fixed-window": "f",
  calendar: "c",
  concurrency: "l",
};

/**
 * What all keys of a limit begin with: its id and the names of `by:`, each preceded by its length, its algorithm and its
 * window. The amount is not part of it, so that a reload that changes only the amount keeps the counts. It is kept short:
 * stores hash and compare it with every charge.
 */
export function limitKeyPrefix({ limit, by }: Pick<LimitRule, "limit" | "by">): string {
  const names = by.map(({ name }) => sized(name)).join("");
  const { id, algorithm, windowMs, calendar } = limit;
  const window = calendar === undefined ? String(windowMs) : sized(`${calendar.unit} ${calendar.zone}`);
  return bounded(`${sized(id)}${letters[algorithm]}${window}(${names})`);
}

/**
 * A key with one more value. A letter says what the value is and its length says where it ends, so that no text of a
 * caller can be taken for another value, for an absent one or for two. An absent value is a value of its own, as is one
 * that could not be computed.
 */
export function keyWith(key: string, value: Value | undefined | Fault): string {
  if (typeof value === "string") return key + textHead(value.length) + value;
  if (value === undefined) return `${key}absent;`;
  if (value instanceof Fault) return `${key}fault;`;
  return key + letterOf(value) + sized(formatValue(value));
}

/** What stands before a text of so many characters. Those of usual texts are made once: each part of a key costs time. */
function textHead(length: number): string {
  return textHeads[length] ?? `s${length}:`;
}

const textHeads = Array.from({ length: 64 }, (_, length) => `s${length}:`);

/** The key of a count by the values of `by:`, in their order. */
export function keyOf(prefix: string, values: readonly (Value | undefined | Fault)[]): string {
  return boundedKey(prefix, values.reduce<string>(keyWith, prefix));
}

/** The key itself where it is short, else its prefix and a hash over all of it, which no short key can look like. */
export function boundedKey(prefix: string, key: string): string {
  return flat(key.length <= maxKeyLength ? key : `${prefix}#${hash(key)}`);
}

/**
 * What a deduplication id becomes for one charge: it holds only for this caller, this count and this name of it, so
 * that nobody can repeat another one's charge, nor pay for one count and be served from another.
 */
export function chargeId(id: string, caller: string, key: string, name: string): string {
  const whole = sized(caller) + sized(key) + sized(name) + sized(id);
  return flat(whole.length <= maxKeyLength ? whole : `#${hash(whole)}`);
}

/** What a key says of one name of `by:`: the text of its value, or that there was none. */
export type KeyPart = { readonly text: string } | "absent" | "fault";

/** The parts of a key that {@link boundedKey} made, in the order of `by:`; `undefined` where it holds only their hash. */
export function keyParts(prefix: string, key: string): readonly KeyPart[] | undefined {
  if (key[prefix.length] === "#") return undefined;
  const parts: KeyPart[] = [];
  for (let at = prefix.length; at < key.length;) {
    const missing = (["absent", "fault"] as const).find((each) => key.startsWith(`${each};`, at));
    if (missing !== undefined) {
      parts.push(missing);
      at += missing.length + 1;
      continue;
    }
    const colon = key.indexOf(":", at);
    const length = colon < 0 ? NaN : Number(key.slice(at + 1, colon));
    if (!(length >= 0)) return undefined;
    parts.push({ text: key.slice(colon + 1, colon + 1 + length) });
    at = colon + 1 + length;
  }
  return parts;
}

function letterOf(value: Exclude<Value, string>): string {
  switch (typeof value) {
    case "number":
    case "bigint":
      return "n";
    case "boolean":
      return "b";
  }
  if (value instanceof Ip) return "i";
  if (value instanceof Timestamp) return "t";
  if (value instanceof Duration) return "d";
  return value instanceof Uint8Array ? "y" : "m";
}

function sized(text: string): string {
  return `${text.length}:${text}`;
}

function bounded(prefix: string): string {
  return prefix.length <= maxKeyLength / 2 ? prefix : `#${hash(prefix)}`;
}

/**
 * The same text in one piece. V8 holds a text that was put together as a tree of its parts until something looks into
 * it; adapters hold these for long, and look them up by them.
 */
function flat(text: string): string {
  return Number.isNaN(text.charCodeAt(0)) ? "" : text;
}

/** Over UTF-16, so that texts with lone surrogates, which all look alike in UTF-8, keep their difference. */
function hash(text: string): string {
  return createHash("sha256").update(Buffer.from(text, "utf16le")).digest("base64url");
}
