import { list, mapOf, record } from "../../../policy/shape/collections.ts";
import { durationMs } from "../../../policy/shape/quantities.ts";
import { choice, integer, number, text } from "../../../policy/shape/scalars.ts";
import type { Located, Shape } from "../../../policy/shape/shape.ts";
import { keyNode } from "../../../policy/yaml/node.ts";
import { spanKinds } from "../../../sdk/index.ts";
import type { Expectation, ExpectedEdits, ExpectedText } from "../test-file.ts";
import { anyCode, bool, either, json, made, oneOrMore, refusalCode, valuesOf } from "./basics.ts";

const count = made(integer("a whole number", 0, Number.MAX_SAFE_INTEGER), plain);
const period = made(durationMs(0, 366 * 86_400_000), plain);
const word = made(text(), plain);
const rules = made(list("a list of rules", word), ({ items }) => items);
const texts = made(mapOf("a map of names to texts", word), toMap);

const textOrNull: Shape<string | null> = {
  expected: "a text or null",
  schema: { type: ["string", "number", "null"] },
  read: (node, reading) => (node.kind === "scalar" && node.value === null ? null : word.read(node, reading)),
};

const message: Shape<ExpectedText> = either(
  "a text, or `contains:` with a part of it",
  word,
  made(
    record("a part of a text", {
      contains: { shape: word, description: "A part of the text.", required: true },
    }),
    ({ contains }) => (contains === undefined ? undefined : { contains }),
  ),
);

const reads = {
  shape: made(list("a list of attributes", word), ({ items }) => items),
  description:
    "All that was read: `request.path`, `request.headers[x]` for a key, `m[*]` for a whole map, with `-` before what was absent.",
} as const;

const edits: Shape<ExpectedEdits> = valuesOf(
  record("header changes", {
    set: { shape: texts, description: "Headers that are replaced." },
    append: {
      shape: made(mapOf("a map of names to texts", oneOrMore("a text or a list of texts", word)), toMap),
      description: "Headers that get a further value.",
    },
    remove: { shape: rules, description: "Headers that are removed." },
  }),
);

/** The keys of a quota under `quotas:`. */
export const quotaRecord = record("the answer for a quota", {
  granted: { shape: count, description: "Units granted." },
  code: { shape: made(anyCode, plain), description: "`ok`, or why nothing was granted." },
  message: { shape: message, description: "What is said to the code." },
  valid_for: { shape: period, description: "How long the units may be used." },
  reads,
});

const quota = either(
  "an amount, or a map that says more",
  made(count, (granted) => ({ granted })),
  valuesOf(quotaRecord),
);

/** The keys of a limit under `limits:`. */
export const limitRecord = record("the state of a limit", {
  allowed: { shape: bool, description: "Whether the limit let the request pass." },
  amount: { shape: count, description: "Units that a window allows." },
  window: { shape: period, description: "Length of the window." },
  remaining: { shape: count, description: "Units left after the request." },
  reset: { shape: period, description: "Until the full amount is there again." },
  retry_after: { shape: period, description: "Until the request could pass." },
  degraded: { shape: bool, description: "Whether the limit's store did not answer." },
});
const limit = valuesOf(limitRecord);

/** The keys of an entry of `metrics:`. */
export const metricRecord = record("a metric", {
  name: { shape: word, description: "Name of the metric.", required: true },
  labels: { shape: texts, description: "Labels of the series, some or all.", default: "any" },
  value: {
    shape: oneOrMore("a number or a list of numbers", made(number("a number"), plain)),
    description: "What a counter grew by; the values that a gauge or a histogram took, in order.",
    default: "any",
  },
  absent: { shape: bool, description: "`true`: there is no such series.", default: "false" },
});
const metric = valuesOf(metricRecord, ["name"]);

/** The keys of an entry of `logs:`. */
export const logRecord = record("a log entry", {
  log: { shape: word, description: "Name of the log.", required: true },
  severity: {
    shape: made(choice("a severity", ["debug", "info", "warning", "error"]), plain),
    description: "Severity of the entry.",
    default: "any",
  },
  fields: {
    shape: made(mapOf("a map of fields", made(json, plain)), toMap),
    description: "Fields of the entry, some or all; `null` for one that is absent.",
    default: "any",
  },
  absent: { shape: bool, description: "`true`: there is no such entry.", default: "false" },
});
const log = valuesOf(logRecord, ["log"]);

/** The keys of an entry of `spans:`. */
export const spanRecord = record("a span", {
  name: { shape: word, description: "Name of the span.", default: "any" },
  kind: {
    shape: made(choice("a kind of span", spanKinds), plain),
    description: "`server`, `client`, `internal`, `producer` or `consumer`.",
    default: "any",
  },
  service: { shape: word, description: "The service that it was seen at.", default: "any" },
  trace: { shape: word, description: "Identifier of its trace.", default: "any" },
  id: { shape: word, description: "Its own identifier.", default: "any" },
  parent: {
    shape: textOrNull,
    description: "Identifier of the span above it; `null`: there is none.",
    default: "any",
  },
  duration: { shape: period, description: "How long it took.", default: "any" },
  failed: { shape: bool, description: "Whether it says that the request failed.", default: "any" },
  attributes: {
    shape: made(mapOf("a map of attributes", made(json, plain)), toMap),
    description: "Attributes of the span, some or all; `null` for one that is absent.",
    default: "any",
  },
  absent: { shape: bool, description: "`true`: there is no such span.", default: "false" },
});
const span = valuesOf(spanRecord);

/** The keys of an entry of `faults:`. */
export const faultRecord = record("a fault", {
  rule: { shape: word, description: "The rule.", required: true },
  part: { shape: word, description: "Which expression of it: `when`, `by`, `cost` ...", default: "any" },
  kind: {
    shape: made(choice("a kind of fault", ["absence", "fault"]), plain),
    description: "`absence`: an attribute is not there; `fault`: any other error.",
    default: "any",
  },
});
const fault = valuesOf(faultRecord, ["rule"]);

/** The keys of an entry of `dropped:`. */
export const dropRecord = record("something dropped", {
  what: { shape: word, description: "What it is: `header`, `metric_sample` ...", required: true },
  reason: { shape: word, description: "Why it was dropped.", default: "any" },
  count: { shape: count, description: "How often.", default: "any" },
});
const drop = valuesOf(dropRecord, ["what"]);

const common = {
  faults: {
    shape: made(list("a list of faults", fault), ({ items }) => items),
    description: "All that could not be evaluated, as the hub counts it.",
  },
  dropped: {
    shape: made(list("a list of what was dropped", drop), ({ items }) => items),
    description: "What was left out or thrown away, as the hub counts it. An empty list: nothing.",
  },
} as const;

/** The keys of `expect:` for a check. */
export const checkRecord = record("what is expected of a check", {
  allow: { shape: bool, description: "`true`: the request passes." },
  deny: { shape: made(refusalCode, plain), description: "The request is refused, with this code." },
  by: { shape: word, description: "The rule that names code and message, with or without `policy/`." },
  rules: { shape: rules, description: "All rules that refuse, in any order." },
  observed: { shape: rules, description: "All rules that would refuse, were their policies enforced." },
  message: { shape: message, description: "The message, or `contains:` with a part of it." },
  http: {
    shape: valuesOf(
      record("a direct response", {
        status: { shape: made(integer("an HTTP status", 100, 599), plain), description: "HTTP status." },
        body: { shape: word, description: "Body." },
        headers: { shape: texts, description: "Headers, some or all." },
      }),
    ),
    description: "The direct response.",
  },
  headers: {
    shape: valuesOf(
      record("header changes of the request, of the response, or both", {
        request: { shape: edits, description: "All changes on the way to the service." },
        response: { shape: edits, description: "All changes on the way back." },
      }),
    ),
    description: "All changes of headers. `request: {}`: there is none.",
  },
  quotas: {
    shape: made(mapOf("a map of quotas", quota), toMap),
    description: "The answers for the limits that were named: an amount, or a map. `{}`: there is none.",
  },
  limits: {
    shape: made(mapOf("a map of limits", limit), toMap),
    description: "Where limits stand after the check, by rule. `{}`: none was judged.",
  },
  valid_for: { shape: period, description: "How long the answer may be kept." },
  valid_uses: { shape: count, description: "How many uses the answer is good for." },
  reads,
  ...common,
});

/** `expect:` of a check: `allow`, or a map with `allow: true` or `deny: CODE` and more. */
export const checkExpectation: Shape<Located<Expectation>> = either(
  "`allow`, or a map with `deny:` or `allow:`",
  made(choice("an outcome", ["allow"]), ({ value }, node) => ({ value: { outcome: value }, node })),
  made(checkRecord, (read, node, reading) => {
    const { node: written, allow, deny, valid_for: validForMs, valid_uses: validUses, ...rest } = read;
    // A code that could not be read was told.
    if (deny === undefined && keyNode(written, "deny") !== undefined) return undefined;
    if (allow === false || (allow === true) === (deny !== undefined)) {
      return reading.mismatch(node, 'either "allow: true" or "deny" with a code');
    }
    return {
      node,
      value: {
        outcome: deny ?? "allow",
        ...(validForMs !== undefined && { validForMs }),
        ...(validUses !== undefined && { validUses }),
        ...rest,
      },
    };
  }),
);

/** The keys of `expect:` for a report. */
export const reportRecord = record("what is expected of a report", {
  taken: { shape: bool, description: "Whether the record was taken." },
  metrics: {
    shape: made(list("a list of metrics", metric), ({ items }) => items),
    description: "What was counted, all or some of it. An empty list: nothing.",
  },
  logs: {
    shape: made(list("a list of log entries", log), ({ items }) => items),
    description: "What was logged, all or some of it. An empty list: nothing.",
  },
  spans: {
    shape: made(list("a list of spans", span), ({ items }) => items),
    description: "The spans that were made, all or some of them. An empty list: none.",
  },
  ...common,
});

/** `expect:` of a report. */
export const reportExpectation: Shape<Located<Expectation>> = made(valuesOf(reportRecord), (value, node) => ({
  value,
  node,
}));

function plain<T>({ value }: Located<T>): T {
  return value;
}

function toMap<T>({
  entries,
}: {
  readonly entries: readonly { readonly name: string; readonly value: T }[];
}): ReadonlyMap<string, T> {
  return new Map(entries.map(({ name, value }) => [name, value]));
}
