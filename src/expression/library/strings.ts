import { Fault } from "../../attributes/fault.ts";
import type { Int64 } from "../../attributes/value.ts";
import { type Dynamic, dynamicTypeName } from "../dynamic.ts";
import { tooCostly } from "../meter.ts";
import { type Overload, type Tools, bound, fn, method } from "../overload.ts";
import { globSource, type Pattern } from "../pattern.ts";
import { listOf, types } from "../typing.ts";

const { bool, int, string } = types;
const texts = listOf(string);

/** Positions count code points, as CEL has it; most texts have none beyond the 16 bits of a unit. */
function isSimple(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text);
}

export function codePointCount(text: string): number {
  if (isSimple(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The unit at which a code point begins; `undefined` when the text is shorter. */
function unitOf(text: string, position: Int64): number | undefined {
  const at = Number(position);
  if (at < 0) return undefined;
  if (isSimple(text)) return at <= text.length ? at : undefined;
  let unit = 0;
  for (let i = 0; i < at; i++) {
    if (unit >= text.length) return undefined;
    unit += text.codePointAt(unit)! > 0xffff ? 2 : 1;
  }
  return unit;
}

function outOfRange(position: Int64): Fault {
  return new Fault(`index out of range: ${position}`);
}

function charAt(text: string, position: Int64): string | Fault {
  const unit = unitOf(text, position);
  if (unit === undefined) return outOfRange(position);
  return unit === text.length ? "" : String.fromCodePoint(text.codePointAt(unit)!);
}

function indexOf(text: string, wanted: string, from: Int64): number | Fault {
  const unit = unitOf(text, from);
  if (unit === undefined) return outOfRange(from);
  const found = text.indexOf(wanted, unit);
  return found < 0 ? -1 : codePointCount(text.slice(0, found));
}

function lastIndexOf(text: string, wanted: string, from: Int64 | undefined): number | Fault {
  const unit = from === undefined ? text.length : unitOf(text, from);
  if (unit === undefined) return outOfRange(from!);
  const found = text.lastIndexOf(wanted, unit);
  return found < 0 ? -1 : codePointCount(text.slice(0, found));
}

function substring(text: string, from: Int64, to: Int64 | undefined): string | Fault {
  const start = unitOf(text, from);
  if (start === undefined) return outOfRange(from);
  const end = to === undefined ? text.length : unitOf(text, to);
  if (end === undefined) return outOfRange(to!);
  return end < start ? new Fault(`invalid substring range: ${from} to ${to}`) : text.slice(start, end);
}

function replace({ meter }: Tools, text: string, wanted: string, by: string, most: Int64): string | Fault {
  const limit = most < 0 ? Infinity : Number(most);
  if (limit === 0) return text;
  const pieces = pieceCount(text, wanted);
  const growth = Math.min(limit, pieces) * by.length;
  if (!meter.spend(Math.ceil((text.length + growth) / 16))) return tooCostly;
  if (limit >= pieces && wanted !== "") return text.replaceAll(wanted, () => by);
  const parts = wanted === "" ? ["", ...text, ""] : text.split(wanted);
  const count = Math.min(limit, parts.length - 1);
  return [parts.slice(0, count + 1).join(by), ...parts.slice(count + 1)].join(wanted);
}

function pieceCount(text: string, wanted: string): number {
  if (wanted === "") return text.length + 1;
  let count = 1;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) count++;
  return count;
}

function split({ meter }: Tools, text: string, by: string, most: Int64): string[] | Fault {
  if (!meter.spend(pieceCount(text, by) + (text.length >>> 4))) return tooCostly;
  const parts = by === "" ? [...text] : text.split(by);
  if (most < 0 || parts.length <= most) return parts;
  const count = Number(most);
  return count === 0 ? [] : [...parts.slice(0, count - 1), parts.slice(count - 1).join(by)];
}

function joinStrings({ meter }: Tools, items: readonly Dynamic[], by: string): string | Fault {
  let length = items.length * by.length;
  for (const item of items) {
    if (typeof item !== "string") return new Fault(`expected strings to join, found ${dynamicTypeName(item)}`);
    length += item.length;
  }
  return meter.spend(length >>> 4) ? items.join(by) : tooCostly;
}

const lowerAscii = (text: string): string => text.replaceAll(/[A-Z]+/g, (run) => run.toLowerCase());
const upperAscii = (text: string): string => text.replaceAll(/[a-z]+/g, (run) => run.toUpperCase());

/** Unicode's White_Space, which is not quite JavaScript's. */
const space = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && space.test(text[from]!)) from++;
  while (to > from && space.test(text[to - 1]!)) to--;
  return text.slice(from, to);
}

/** The tests of a text against a pattern, which is compiled once when it is a constant. */
function patternTest(
  compile: (source: string) => string,
): (
  tools: Tools,
  constants: readonly [unknown, string | undefined],
) => ((text: string, pattern: string) => boolean | Fault) | Fault {
  return ({ meter, patterns }, [, constant]) => {
    if (constant !== undefined) {
      const test: Pattern | Fault = patterns.regex(compile(constant));
      return test instanceof Fault ? test : (text) => test(text, meter);
    }
    return (text, source) => {
      const test = patterns.computed(compile(source));
      return test instanceof Fault ? test : test(text, meter);
    };
  };
}

/** Text: the functions of the specification, those of CEL's strings extension, and `glob`, `lower`, `upper`. */
export const strings: readonly Overload[] = [
  method("startsWith", [string, string], bool, (text, start) => text.startsWith(start)),
  method("endsWith", [string, string], bool, (text, end) => text.endsWith(end)),
  method("contains", [string, string], bool, (text, part) => text.includes(part)),
  bound(
    { name: "matches", method: true, params: [string, string], result: bool },
    patternTest((source) => source),
  ),
  bound(
    { name: "matches", method: false, params: [string, string], result: bool },
    patternTest((source) => source),
  ),
  bound({ name: "glob", method: false, params: [string, string], result: bool }, patternTest(globSource)),
  fn("lower", [string], string, (text) => text.toLowerCase()),
  fn("upper", [string], string, (text) => text.toUpperCase()),
  method("lowerAscii", [string], string, lowerAscii),
  method("upperAscii", [string], string, upperAscii),
  method("trim", [string], string, trim),
  method("charAt", [string, int], string, charAt),
  method("indexOf", [string, string], int, (text, wanted) => indexOf(text, wanted, 0)),
  method("indexOf", [string, string, int], int, indexOf),
  method("lastIndexOf", [string, string], int, (text, wanted) => lastIndexOf(text, wanted, undefined)),
  method("lastIndexOf", [string, string, int], int, lastIndexOf),
  method("substring", [string, int], string, (text, from) => substring(text, from, undefined)),
  method("substring", [string, int, int], string, substring),
  bound(
    { name: "replace", method: true, params: [string, string, string], result: string },
    (tools) => (text, wanted, by) => replace(tools, text, wanted, by, -1),
  ),
  bound(
    { name: "replace", method: true, params: [string, string, string, int], result: string },
    (tools) => (text, wanted, by, most) => replace(tools, text, wanted, by, most),
  ),
  bound(
    { name: "split", method: true, params: [string, string], result: texts },
    (tools) => (text, by) => split(tools, text, by, -1),
  ),
  bound(
    { name: "split", method: true, params: [string, string, int], result: texts },
    (tools) => (text, by, most) => split(tools, text, by, most),
  ),
  bound(
    { name: "join", method: true, params: [texts], result: string },
    (tools) => (items) => joinStrings(tools, items, ""),
  ),
  bound(
    { name: "join", method: true, params: [texts, string], result: string },
    (tools) => (items, by) => joinStrings(tools, items, by),
  ),
];
