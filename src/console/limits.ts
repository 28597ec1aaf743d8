import { WeirError } from "../util/weir-error.ts";
import { describeDivided, describeDividedKey, shownParts } from "./divided.ts";
import { maskValue } from "./mask.ts";
import type { LimitsView } from "./view.ts";

type LimitRule = ReturnType<LimitsView["find"]>;
type KeyText = Parameters<LimitsView["look"]>[1];
type Described = Readonly<Record<string, unknown>>;

const defaultTop = 20;
const maxTop = 1000;
/** The most that a limit may allow, and so the most that can be granted beyond it. */
const maxUnits = 1_000_000_000_000;

/** What somebody asks about limits. */
export interface LimitsRequest {
  readonly limits: LimitsView;
  /** What stands in the path behind `/limits/`, without a slash at its end. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Answers `GET /limits` and what is below it. */
export async function describeLimits(request: LimitsRequest): Promise<Described> {
  const { limits, path, query } = request;
  if (path === "") return { limits: limits.list().map(describeListing) };
  const rule = limits.find(path);
  if (query.has("key") || query.has("absent")) {
    const key = queryKey(rule, query);
    const stands = await limits.look(rule, key);
    return {
      rule: rule.id,
      key: shownKey(rule, key),
      limits: stands.map(({ text, when, used, remaining, resetMs }) => ({
        limit: text,
        when,
        used,
        remaining,
        reset_ms: resetMs,
      })),
      divided: describeDividedKey(limits.divided(rule, key)),
    };
  }
  const most = readTop(query.get("top"));
  const { keys, seen, complete } = await limits.top(rule, most);
  return {
    rule: rule.id,
    by: rule.by.map(({ name }) => name),
    keys: keys.map(({ parts, used, resetMs, text }) => ({
      key: shownParts(rule.by, parts),
      used: Math.ceil(used),
      reset_ms: resetMs,
      limit: text,
    })),
    seen,
    complete,
    divided: describeDivided(limits.divided(rule, undefined), rule.by, most),
  };
}

/** Answers `POST /limits/{policy}/{rule}/reset` and `/grant`: `who` changes something. */
export async function changeLimit({ limits, path }: LimitsRequest, body: Described, who: string): Promise<Described> {
  const [, name, action] = /^([^/]+\/[^/]+)\/(reset|grant)$/.exec(path) ?? [];
  if (name === undefined) throw new WeirError("WEIR_NOT_FOUND", "expected /limits/{policy}/{rule}/reset or /grant");
  const rule = limits.find(name);
  const known = action === "reset" ? ["key", "absent", "all"] : ["key", "absent", "amount", "for", "until"];
  for (const key of Object.keys(body))
    if (!known.includes(key)) throw malformed(`known keys are ${known.join(", ")}, and got ${shortened(key)}`);
  const every = body["all"] === true;
  const isNamed = body["key"] !== undefined || body["absent"] !== undefined || rule.by.length === 0;
  if (every === isNamed && !(every && rule.by.length === 0))
    throw malformed(`expected a key, by its ${namesOf(rule)}${action === "reset" ? ", or all keys" : ""}`);
  const key = every ? undefined : bodyKey(rule, body);
  const change = { rule, shown: key === undefined ? "every key" : shownKey(rule, key), who };
  if (action === "reset") {
    const { keys, divided } = await limits.reset(change, key);
    return { rule: rule.id, key: change.shown, reset: keys, ...(divided > 0 && { divided }) };
  }
  const { amount } = body;
  if (typeof amount !== "number" || !Number.isInteger(amount) || amount < 0 || amount > maxUnits)
    throw malformed(`expected an "amount" of 0 to ${maxUnits} units, got ${shortened(amount)}`);
  const until = await limits.grant(change, key!, amount, { for: body["for"], until: body["until"] });
  return { rule: rule.id, key: change.shown, granted: amount, until: new Date(until).toISOString() };
}

function describeListing({ rule, text, overrides, held, divided }: ReturnType<LimitsView["list"]>[number]): Described {
  return {
    rule: rule.id,
    limit: text,
    overrides: overrides.length === 0 ? undefined : overrides.map(({ when, text: limit }) => ({ when, limit })),
    algorithm: rule.limit.algorithm,
    by: Object.fromEntries(rule.by.map(({ name, value }) => [name, value.source])),
    via: rule.via,
    at: rule.at,
    mode: rule.policy.mode,
    keys: held,
    divided,
  };
}

/** `key=user=alice&key=plan=gold&absent=team`. */
function queryKey(rule: LimitRule, query: URLSearchParams): KeyText {
  return { values: keyTexts(rule, query.getAll("key")), absent: new Set(query.getAll("absent")) };
}

/** A key as an object, or as texts like those of a query. */
function bodyKey(rule: LimitRule, { key = {}, absent = [] }: Described): KeyText {
  if (!isTexts(absent)) throw malformed(`expected "absent" as a list of names, got ${shortened(absent)}`);
  if (isTexts(key)) return { values: keyTexts(rule, key), absent: new Set(absent) };
  if (typeof key !== "object" || key === null || Array.isArray(key))
    throw malformed(`expected the "key" as an object of ${namesOf(rule)}, got ${shortened(key)}`);
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(key as Described)) {
    if (typeof value === "object") throw malformed(`expected a text for ${shortened(name)}, got ${shortened(value)}`);
    say(values, nameIn(rule, name) ?? name, String(value));
  }
  return { values, absent: new Set(absent) };
}

/** What a rule calls a part of its key, by that name or by its expression: a `by:` of one expression has no name of its own. */
function nameIn(rule: LimitRule, said: string): string | undefined {
  return rule.by.find(({ name, value }) => name === said || value.source === said)?.name;
}

function say(values: Map<string, string>, name: string, value: string): void {
  if (values.has(name)) throw malformed(`${shortened(name)} is said twice`);
  values.set(name, value);
}

/** `NAME=VALUE` each; of a limit with one name the value alone will do. */
function keyTexts(rule: LimitRule, texts: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const name = nameIn(rule, text.slice(0, Math.max(0, at)));
    if (name !== undefined) say(values, name, text.slice(at + 1));
    else if (rule.by.length === 1) say(values, rule.by[0]!.name, text);
    else throw malformed(`expected NAME=VALUE with a name of ${namesOf(rule)}, got ${shortened(text)}`);
  }
  return values;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function readTop(text: string | null): number {
  if (text === null) return defaultTop;
  const top = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (top >= 1 && top <= maxTop) return top;
  throw malformed(`expected top to be 1 to ${maxTop}, got ${shortened(text)}`);
}

/** A key as it may be shown and logged. */
function shownKey(rule: LimitRule, { values, absent }: KeyText): Described {
  return Object.fromEntries(
    rule.by.map(({ name, value }) => [
      name,
      absent.has(name) ? "(absent)" : maskValue(values.get(name) ?? "", [name, value.source]),
    ]),
  );
}

function namesOf(rule: LimitRule): string {
  if (rule.by.length === 0) return "nothing, since it has one count for all";
  return rule.by.map(({ name }) => name).join(", ");
}

function shortened(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}

function malformed(message: string): WeirError {
  return new WeirError("WEIR_REQUEST_MALFORMED", message);
}
