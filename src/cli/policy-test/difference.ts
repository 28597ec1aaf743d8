import type { Bag, Reads } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import type { HeaderOperation } from "../../runtime/decision.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { isRule } from "./outcome.ts";
import { readsOf } from "./reads.ts";
import type { ExpectedEdits, ExpectedText } from "./test-file.ts";

/** One thing that is not as expected. */
export interface Difference {
  /** Which, in the words of the test file: `limits.per-user.remaining`. */
  readonly what: string;
  readonly expected: JsonValue;
  readonly found: JsonValue;
}

/** Numbers are the same when rounding explains what parts them. */
export function same(differences: Difference[], what: string, expected: JsonValue, found: JsonValue): void {
  const equal =
    typeof expected === "number" && typeof found === "number"
      ? Math.abs(expected - found) <= 1e-9 * Math.max(1, Math.abs(expected))
      : expected === found;
  if (!equal) differences.push({ what, expected, found });
}

/** Durations are the same when less than a millisecond parts them. */
export function sameMs(differences: Difference[], what: string, expected: number, found: number | undefined): void {
  if (found !== undefined && Math.abs(expected - found) < 1) return;
  differences.push({ what, expected: durationText(expected), found: found === undefined ? null : durationText(found) });
}

function durationText(ms: number): string {
  return Duration.fromMs(ms)?.toString() ?? `${ms}ms`;
}

/** The text, or a part of it. */
export function sameMessage(differences: Difference[], what: string, expected: ExpectedText, found: string): void {
  const equal = typeof expected === "string" ? expected === found : found.includes(expected.contains);
  if (!equal) differences.push({ what, expected, found });
}

/** The same rules, in any order. */
export function sameRules(
  differences: Difference[],
  what: string,
  expected: readonly string[],
  found: readonly string[],
): void {
  const equal =
    expected.length === found.length &&
    expected.every((name) => found.some((id) => isRule(id, name))) &&
    found.every((id) => expected.some((name) => isRule(id, name)));
  if (!equal) differences.push({ what, expected, found });
}

/** The same edits; those of one kind and name in the same order. */
export function sameEdits(
  differences: Difference[],
  what: string,
  expected: ExpectedEdits,
  operations: readonly HeaderOperation[],
): void {
  const wanted = editsText({
    set: [...(expected.set ?? [])].map(([name, value]) => [name.toLowerCase(), value]),
    append: [...(expected.append ?? [])].flatMap(([name, values]) =>
      values.map((value): [string, string] => [name.toLowerCase(), value]),
    ),
    remove: (expected.remove ?? []).map((name) => name.toLowerCase()),
  });
  const of = (operation: HeaderOperation["operation"]): [string, string][] =>
    operations.filter((each) => each.operation === operation).map(({ name, value }) => [name, value]);
  const found = editsText({ set: of("set"), append: of("append"), remove: of("remove").map(([name]) => name) });
  if (wanted !== found) differences.push({ what, expected: wanted, found });
}

function editsText(edits: {
  readonly set: readonly (readonly [string, string])[];
  readonly append: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}): string {
  const byName = (a: readonly [string, string], b: readonly [string, string]) =>
    a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
  const lines = [
    ...[...edits.set].sort(byName).map(([name, value]) => `set ${name}: ${value}`),
    ...[...edits.append].sort(byName).map(([name, value]) => `append ${name}: ${value}`),
    ...[...edits.remove].sort().map((name) => `remove ${name}`),
  ];
  return lines.length === 0 ? "nothing" : lines.join("; ");
}

/** The same attributes and keys, in any order. */
export function sameReads(
  differences: Difference[],
  what: string,
  expected: readonly string[],
  found: Reads,
  bag: Bag,
): void {
  const listed = readsOf(found, bag);
  const wanted = [...expected].sort();
  if (wanted.join("\n") !== listed.join("\n")) differences.push({ what, expected: wanted, found: listed });
}
