import { refusalCodes, type RefusalCode } from "../../sdk/index.ts";
import { mapOf, record } from "../shape/collections.ts";
import { durationMs } from "../shape/quantities.ts";
import { choice, integer, text } from "../shape/scalars.ts";
import type { Read } from "../shape/shape.ts";
import { variants } from "../shape/variants.ts";
import { headersShape } from "./header-edits.ts";
import { limitFields } from "./limit.ts";
import { longestMs, ruleName, unless, value, when } from "./rule-fields.ts";

const message = {
  shape: text(),
  description: "What the caller is told.",
  default: "a message that names the rule",
} as const;
const cache = {
  shape: durationMs(0, longestMs),
  description:
    "How long the outcome may be kept by the caller; of several rules that took part the least holds. `0s`: not at all.",
  default: "`check.validFor` of weir.yaml",
} as const;

export const httpShape = record("a direct response", {
  status: {
    shape: integer("an HTTP status", 200, 599),
    description: "HTTP status.",
    default: "the one of the rule's code",
  },
  body: { shape: text(), description: "Body, sent as it is.", default: "the message" },
  headers: {
    shape: mapOf("a map of header names to texts", text()),
    description: "Headers of the response, constant texts.",
    default: "none",
  },
});
const http = {
  shape: httpShape,
  description: "The response that the proxy gives by itself when the rule refuses.",
  default: "the proxy's own",
} as const;

export const checkRuleShape = variants(
  "a check rule",
  {
    name: {
      shape: ruleName,
      description: "Name of the rule, unique in the policy. The rule is called `policy/rule` everywhere.",
      required: true,
    },
    when,
    unless,
    cache,
  },
  {
    deny: {
      deny: {
        shape: choice("the name of a gRPC status code", Object.keys(refusalCodes) as RefusalCode[]),
        description: "Refuses, with this gRPC status code.",
        required: true,
      },
      message,
      http,
    },
    ask: {
      ask: {
        shape: text("the name of an adapter"),
        description: "Asks this adapter, by its name in weir.yaml. It must be able to check.",
        required: true,
      },
      with: {
        shape: mapOf("a map of the adapter's inputs to expressions", value),
        description: "What the adapter is given: each input that it declares, and its expression.",
        default: "nothing",
      },
      onError: {
        shape: choice("what holds when the adapter fails", ["deny", "allow"], {
          local: "only a limit can count by itself",
        }),
        description: "What holds when the adapter fails: `deny` or `allow`.",
        default: "`deny`",
      },
      message,
      http,
    },
    limit: { ...limitFields, message, http },
    headers: {
      headers: {
        shape: headersShape,
        description: "Changes headers of requests that pass, and of their responses.",
        required: true,
      },
    },
  },
);

export type RawCheckRule = Read<typeof checkRuleShape>;
export type RawHttp = Read<typeof httpShape>;
