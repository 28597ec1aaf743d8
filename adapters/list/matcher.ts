import { RE2JS, RE2Set } from "re2js";
import { ipRanges, noRange, parseRange } from "./ip-ranges.ts";

/** How entries are compared with a value. */
export const kinds = ["string", "case-insensitive", "ip", "regex"] as const;

export type Kind = (typeof kinds)[number];

/** Whether a value is on the list; `undefined` when it is no value that the list could hold. */
export type Matcher = (value: string) => boolean | undefined;

/** The most patterns of a `regex` list. */
export const maxPatterns = 1000;
/** The longest pattern, and the longest value that patterns are tried on. */
const maxPatternLength = 1000;
const maxMatchedLength = 8192;

/** Prepares entries for look-up. Throws a RangeError that names the entry that is not of the kind. */
export function createMatcher(kind: Kind, entries: readonly string[]): Matcher {
  switch (kind) {
    case "string": {
      const set = new Set(entries);
      return (value) => set.has(value);
    }
    case "case-insensitive": {
      const set = new Set(entries.map((entry) => entry.toLowerCase()));
      return (value) => set.has(value.toLowerCase());
    }
    case "ip": {
      const ranges = ipRanges(entries);
      return (value) => ranges.contains(value);
    }
    case "regex":
      return patterns(entries);
  }
}

/** What is wrong with an entry of a list of this kind, or `undefined`. */
export function entryFlaw(kind: Kind, entry: string): string | undefined {
  if (kind === "ip") return parseRange(entry) === undefined ? noRange(entry) : undefined;
  if (kind !== "regex") return undefined;
  if (entry.length > maxPatternLength)
    return `expected patterns of at most ${maxPatternLength} characters, got one of ${entry.length}`;
  try {
    RE2JS.compile(entry);
    return undefined;
  } catch (error) {
    return `${JSON.stringify(entry)} is no RE2 pattern: ${(error as Error).message}`;
  }
}

/** All patterns become one automaton, so that a value is read once, in time linear in its length (RE2). */
function patterns(entries: readonly string[]): Matcher {
  if (entries.length > maxPatterns)
    throw new RangeError(`expected at most ${maxPatterns} patterns, got ${entries.length}`);
  const set = new RE2Set(RE2Set.UNANCHORED);
  for (const entry of entries) {
    const flaw = entryFlaw("regex", entry);
    if (flaw !== undefined) throw new RangeError(flaw);
    set.add(entry);
  }
  if (entries.length === 0) return () => false;
  set.compile();
  return (value) => (value.length > maxMatchedLength ? undefined : set.match(value).length > 0);
}
