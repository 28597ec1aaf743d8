import { traceFormats } from "../../attributes/trace-context.ts";
import { value } from "./rule-fields.ts";
import { list, mapOf, record } from "../shape/collections.ts";
import type { Fields } from "../shape/collections.ts";
import { boolean, choice, expression, integer, number, word, text } from "../shape/scalars.ts";

/** The keys of `sampling:`. */
export const samplingShape = record("a sampling", {
  ratio: {
    shape: number("a number", 0, 1),
    description: "Which share of the traces is kept, 0 to 1; the trace's identifier decides.",
    default: "`1`",
  },
  follow: {
    shape: boolean(),
    description:
      "Whether a caller that has decided (`sampled` in the trace context) is followed; `ratio` is then for the others.",
    default: "`true`",
  },
  perSecond: {
    shape: integer("a number of spans", 1, 1_000_000),
    description: "The most spans that the rule makes in a second; those beyond are dropped and counted.",
    default: "no bound",
  },
});

const instant = expression("an expression that is a timestamp");
const identifier = expression("an expression that is a text of hexadecimal digits");

/** Of logs and of spans. */
export const revealField = {
  shape: list("a list of names", text("a name of a header or an attribute")),
  description:
    "Headers, keys and attributes that are shown though their names look like those of secrets; others are masked as `***`.",
  default: "none",
} as const;

/** The keys of a `span` rule. */
export const spanRuleFields = {
  span: {
    shape: word("a name of letters, digits and . _ - :", /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/, 100),
    description: "Name of the rule, and of spans that nothing else names.",
    required: true,
  },
  operation: {
    shape: expression("an expression that is a text"),
    description: "Name of the span. Keep it to few different texts: no path with identifiers in it.",
    default: "`api.operation`; else the method of gRPC, the HTTP method, or `tcp`; else what `span` says",
  },
  spanKind: {
    shape: expression("server, client, internal, producer, consumer, or an expression that is one of these texts"),
    description:
      "`server`, `client`, `internal`, `producer` or `consumer`, or an expression that is one of these texts.",
    default: "`client` where `context.reporter.kind` is `outbound`, else `server`",
  },
  ids: {
    shape: choice("whose identifiers the headers hold", ["new", "shared"]),
    description:
      "`new`: the headers hold the caller's span, and each report is a new span under it. `shared`: they hold the span that the proxies made for the request, and each report is one side of it.",
    default: "`new`",
  },
  context: {
    shape: list("a list of formats", choice("a format", traceFormats)),
    description: "The formats of the trace context in the request's headers; the first that is there and valid counts.",
    default: "`[w3c, b3]`",
  },
  root: {
    shape: boolean(),
    description: "Whether a request without a trace context begins a trace; else it gives no span.",
    default: "`true`",
  },
  trace: {
    shape: identifier,
    description: "Identifier of the trace, 16 or 32 hexadecimal digits, instead of what the headers say.",
    default: "that of the headers",
  },
  id: {
    shape: identifier,
    description: "Identifier of the span, 16 hexadecimal digits. It must be no other span's.",
    default: "by `ids`",
  },
  parent: {
    shape: identifier,
    description: "Identifier of the span above it, 16 hexadecimal digits; where it is absent there is none.",
    default: "by `ids`",
  },
  start: {
    shape: instant,
    description: "When the span begins.",
    default: "`request.time`; else its end less its duration",
  },
  end: {
    shape: instant,
    description: "When the span ends.",
    default:
      "its start and `response.duration`; else `response.time`; of a connection `context.time`; else when the report came",
  },
  failed: {
    shape: expression("an expression that is true or false"),
    description: "Whether the span says that the request failed.",
    default: "by the code of the response, as OpenTelemetry's conventions have it, and by the proxy's flags",
  },
  service: {
    shape: expression("an expression that is a text"),
    description: "The service that the span was seen at.",
    default: "the workload of the side that reports, else its service",
  },
  attributes: {
    shape: mapOf("a map of attribute names to expressions", value),
    description: "Attributes beside those of the conventions, or in their place. What is absent is left out.",
    default: "none",
  },
  reveal: revealField,
  sampling: { shape: samplingShape, description: "Which requests give a span.", default: "below" },
} as const satisfies Fields;
