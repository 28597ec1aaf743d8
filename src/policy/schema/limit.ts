import { consistencies, isTimeZone, maxAmount, parseRate, rateExpected } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import { list, mapOf, record } from "../shape/collections.ts";
import { durationMs, part } from "../shape/quantities.ts";
import { choice, expression, integer, parsedText, text } from "../shape/scalars.ts";
import type { Read, Shape } from "../shape/shape.ts";
import { longestMs, ruleName, value } from "./rule-fields.ts";

/** Kinds of limits that are known by name and not built. */
const otherAlgorithms = {
  gcra: 'that is "token-bucket"',
};

function unknownTimeZone(text: string): { readonly problem: string; readonly hint?: string } {
  const problem = `expected a time zone such as Europe/Berlin or UTC, got ${JSON.stringify(text.slice(0, 60))}`;
  const near = nearest(text.slice(0, 60), Intl.supportedValuesOf("timeZone"));
  return near === undefined ? { problem } : { problem, hint: `did you mean "${near}"?` };
}

const byShape: Shape<NonNullable<Read<typeof value>> | Read<typeof byMap>> = {
  expected: "an expression, or a map of names to expressions",
  schema: { anyOf: [{ type: "string" }, { type: "object", additionalProperties: value.schema }] },
  read: (node, reading) => (node.kind === "map" ? byMap.read(node, reading) : value.read(node, reading)),
};
const byMap = mapOf("a map of names to expressions", value);

const rate = parsedText({
  expected: rateExpected,
  parse: parseRate,
  code: "WEIR_POLICY_RATE",
  schema: {
    type: ["string", "integer"],
    pattern: "^[1-9][0-9]*( ?/ ?([0-9]*(ms|s|m|h|d)|minute|hour|day|week|month|year))?$",
    minimum: 1,
  },
});

export const overrideShape = record("an override of a limit", {
  when: {
    shape: expression("an expression that is true or false"),
    description: "Where it holds. Absence does not hold; of a fault the least limit is taken that may hold.",
    required: true,
  },
  limit: {
    shape: rate,
    description: "How many units each window allows, in place of the rule's own `limit`.",
    required: true,
  },
  burst: {
    shape: integer("a number of units", 1, maxAmount),
    description: "How many units may be taken at once. Only for `token-bucket`.",
    default: "the amount of `limit`",
  },
});

const zone = parsedText({
  expected: "a time zone such as Europe/Berlin or UTC",
  parse: (text) => (isTimeZone(text) ? { value: text } : unknownTimeZone(text)),
  schema: { type: "string" },
});

const algorithm = choice(
  "an algorithm",
  ["token-bucket", "sliding-window", "fixed-window", "calendar"],
  otherAlgorithms,
);

export const levelShape = record("a level of a limit", {
  name: {
    shape: ruleName,
    description: "Name of the level, unique in the rule. It is called `policy/rule#level` everywhere.",
    required: true,
  },
  limit: { shape: rate, description: "How many units each window allows.", required: true },
  burst: {
    shape: integer("a number of units", 1, maxAmount),
    description: "How many units may be taken at once. Only for `token-bucket`.",
    default: "the amount of `limit`",
  },
  by: {
    shape: byShape,
    description: "Whose count, within the counts of the levels above: an expression, or a map of names to expressions.",
    required: true,
  },
  algorithm: {
    shape: algorithm,
    description: "How it counts: `token-bucket`, `sliding-window`, `fixed-window` or `calendar`.",
    default: "`calendar` where `limit` names a unit of the calendar, else `token-bucket`",
  },
  zone: {
    shape: zone,
    description: "The time zone whose clocks say when a window of the calendar begins. Only for `calendar`.",
    default: "`UTC`",
  },
});

/** What a rule that limits has beside what every check rule has, and beside the answer of one that refuses. */
export const limitFields = {
  limit: {
    shape: rate,
    description:
      "How many units each window allows: `500/s`, `10/m`, `1000/h`, `1/d`, `100/10s`; by the calendar `1000/day`, and so on with `minute`, `hour`, `week`, `month` and `year`. Of `concurrency` how many units may be taken at once: `100`.",
    required: true,
  },
  burst: {
    shape: integer("a number of units", 1, maxAmount),
    description: "How many units may be taken at once. Only for `token-bucket`.",
    default: "the amount of `limit`",
  },
  table: {
    shape: text("the name of an adapter"),
    description:
      "A table of the limits of single keys, by the name of its adapter in weir.yaml. A key that it does not name has the limit that the rule says.",
    default: "none",
  },
  tableKey: {
    shape: value,
    description: "By what a row of the table is found.",
    default: "the value of `by`, where that is one",
  },
  overrides: {
    shape: list("a list of overrides", overrideShape),
    description: "Other amounts for some requests: of these `when`, `limit` and `burst` the first that holds is taken.",
    default: "none",
  },
  levels: {
    shape: list("a list of levels", levelShape),
    description:
      "Limits within this one, from the larger to the smaller, such as teams of an organisation and their users: a request takes from all of them or from none.",
    default: "none",
  },
  by: {
    shape: byShape,
    description:
      "Whose count: an expression, or a map of names to expressions. Each value has a count of its own; an absent one counts as `(absent)`.",
    default: "one count for all",
  },
  cost: {
    shape: expression("an expression that is a whole number"),
    description: "Units a request takes. A cost that cannot be evaluated, or is negative, refuses.",
    default: "`1`",
  },
  via: {
    shape: text("the name of an adapter"),
    description: "The adapter that counts, by its name in weir.yaml.",
    default: "`memory`",
  },
  consistency: {
    shape: choice("how nearly a shared count is kept", consistencies),
    description:
      "How nearly a count that hubs share is kept: `exact`; `bounded`, answered from units taken ahead, never above the limit; or `best-effort`, counted in each hub and reconciled behind. See [limits.md](limits.md#consistency).",
    default: "`exact`",
  },
  algorithm: {
    shape: choice(
      "an algorithm",
      ["token-bucket", "sliding-window", "fixed-window", "calendar", "concurrency"],
      otherAlgorithms,
    ),
    description: "How it counts: `token-bucket`, `sliding-window`, `fixed-window`, `calendar` or `concurrency`.",
    default: "`calendar` where `limit` names a unit of the calendar, else `token-bucket`",
  },
  zone: {
    shape: zone,
    description: "The time zone whose clocks say when a window of the calendar begins. Only for `calendar`.",
    default: "`UTC`",
  },
  ttl: {
    shape: durationMs(100, longestMs),
    description:
      "How long a request counts as at work when nobody says that it is over. Only for `concurrency`, where it is the lease.",
    default: "`1m`",
  },
  hold: {
    shape: durationMs(100, longestMs),
    description:
      "How long what a decision took is remembered under its id, so that it can be refunded and settled. Not for `concurrency`, which holds for `ttl`.",
    default: "not at all; `10m` with `settle`",
  },
  settle: {
    shape: expression("an expression that is a whole number"),
    description:
      "Units that the request has used, from the attributes of its report: what `cost` took is corrected by it, once, up or down.",
    default: "what was taken stays taken",
  },
  at: {
    shape: choice("where a limit is charged", ["check", "ratelimit"]),
    description: "Which doors charge it: `check`, those that judge a request, or `ratelimit`, the rate limit doors.",
    default: "`ratelimit` where the rule reads `ratelimit.*`, else `check`",
  },
  onError: {
    shape: choice("what holds when the adapter fails", ["deny", "allow", "local"]),
    description:
      "What holds when the adapter fails: `deny`, `allow`, or `local` to count in this process's memory meanwhile, by this hub's share.",
    default: "`allow`",
  },
  share: {
    shape: part,
    description:
      "For `onError: local`: the part of the limit that each hub counts by while the adapter fails, such as `0.25`.",
    default: "`check.share` of weir.yaml, else one over the hubs last seen",
  },
} as const;

export type RawLevel = Read<typeof levelShape>;
