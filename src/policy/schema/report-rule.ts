import { revealField, spanRuleFields } from "./span-rule.ts";
import { ruleName, unless, value, when } from "./rule-fields.ts";
import { list, mapOf, record } from "../shape/collections.ts";
import { boolean, choice, expression, integer, number, numberAbove, text, word } from "../shape/scalars.ts";
import type { Read, Shape } from "../shape/shape.ts";
import { variants } from "../shape/variants.ts";

export const linearShape = record("linear buckets", {
  start: { shape: number("a number"), description: "The first bound.", required: true },
  width: { shape: numberAbove(0), description: "The distance between bounds.", required: true },
  count: { shape: integer("a number of buckets", 1, 200), description: "How many bounds.", required: true },
});

export const exponentialShape = record("exponential buckets", {
  start: { shape: numberAbove(0), description: "The first bound.", required: true },
  factor: {
    shape: numberAbove(1),
    description: "What each bound is multiplied by to give the next.",
    required: true,
  },
  count: { shape: integer("a number of buckets", 1, 200), description: "How many bounds.", required: true },
});

const bucketList = list("a list of bounds", number("a number"));
const bucketRule = variants(
  "a rule of buckets",
  {},
  {
    linear: { linear: { shape: linearShape, description: "Bounds at equal distances.", required: true } },
    exponential: { exponential: { shape: exponentialShape, description: "Bounds at equal ratios.", required: true } },
  },
);

const bucketsShape: Shape<Read<typeof bucketList> | Read<typeof bucketRule>> = {
  expected: "a list of bounds, or linear or exponential buckets",
  schema: { anyOf: [bucketList.schema, bucketRule.schema] },
  read: (node, reading) => (node.kind === "map" ? bucketRule.read(node, reading) : bucketList.read(node, reading)),
};

export const reportRuleShape = variants(
  "a report rule",
  {
    name: {
      shape: ruleName,
      description: "Name of the rule, unique in the policy.",
      default: "the name of the metric, the log or the span",
    },
    when,
    unless: { ...unless, description: "The rule does not apply where this is true." },
    to: {
      shape: text("the name of an adapter"),
      description: "The adapter that takes it, by its name in weir.yaml.",
      default: "`prometheus` for metrics, `stdout` for logs; a span needs it",
    },
  },
  {
    metric: {
      metric: {
        shape: word("a metric name of letters, digits, _ and :", /^[a-zA-Z_:][a-zA-Z0-9_:]*$/, 100),
        description: "Name of the metric.",
        required: true,
      },
      type: {
        shape: choice("a type of metric", ["counter", "gauge", "histogram"], {
          summary: "a histogram can be aggregated over hubs, a summary cannot",
        }),
        description: "`counter`, `gauge` or `histogram`.",
        required: true,
      },
      value: {
        shape: expression("an expression that is a number or a duration"),
        description: "What is added, set or observed: a number or a duration. A gauge and a histogram need it.",
        default: "`1` for a counter",
      },
      unit: {
        shape: choice("a unit of time", ["s", "ms"]),
        description: "What a duration is counted in: `s` or `ms`.",
        default: "`ms` where the name ends in `_milliseconds`, else `s`",
      },
      buckets: {
        shape: bucketsShape,
        description: "Upper bounds of a histogram: an ascending list, or `linear`, or `exponential`.",
        default: "for a duration, from 5 ms to 10 s",
      },
      ongoing: {
        shape: boolean(),
        description:
          "Whether a counter also grows while requests are under way, by what is new of `value`, where the door tells of them; it ends at the same sum.",
        default: "`false`",
      },
      labels: {
        shape: mapOf("a map of label names to expressions", value),
        description: "Labels, each a name and an expression. What is absent becomes `unknown`.",
        default: "none",
      },
      help: {
        shape: text(),
        description: "One line for whoever reads the metric.",
        default: "a line made from the rule",
      },
    },
    log: {
      log: {
        shape: word("a name of letters, digits and . _ - :", /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/, 100),
        description: "Name of the log.",
        required: true,
      },
      severity: {
        shape: expression("debug, info, warning, error, or an expression that is one of these texts"),
        description: "`debug`, `info`, `warning` or `error`, or an expression that is one of these texts.",
        default: "`info`",
      },
      fields: {
        shape: mapOf("a map of field names to expressions", value),
        description: "Fields of the entry, each a name and an expression. What is absent is left out.",
        default: "none",
      },
      reveal: revealField,
    },
    span: spanRuleFields,
  },
);

export type RawReportRule = Read<typeof reportRuleShape>;
export type RawBuckets = Read<typeof bucketsShape>;
