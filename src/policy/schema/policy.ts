import { checkRuleShape } from "./check-rule.ts";
import { reportRuleShape } from "./report-rule.ts";
import { condition } from "./rule-fields.ts";
import { list, record } from "../shape/collections.ts";
import { choice, word } from "../shape/scalars.ts";
import type { Read } from "../shape/shape.ts";

export const policyShape = record("a policy", {
  policy: {
    shape: word("a name of letters, digits and . _ -", /^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 100),
    description: "Name of the policy, unique over all files.",
    required: true,
  },
  namespace: {
    shape: word("a namespace of lower case letters, digits and -", /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 63),
    description: "Only requests to a service of this namespace (`destination.namespace`).",
    default: "the whole mesh",
  },
  match: { shape: condition, description: "The rules apply only where this is true.", default: "everywhere" },
  mode: {
    shape: choice("a mode", ["enforce", "observe"]),
    description:
      "`enforce`, or `observe`: check rules are judged, counted and logged, and never refuse. Report rules work in both.",
    default: "`enforce`",
  },
  check: {
    shape: list("a list of check rules", checkRuleShape),
    description: "Rules that are judged before the request.",
    default: "none",
  },
  report: {
    shape: list("a list of report rules", reportRuleShape),
    description: "Rules for what is told after the request.",
    default: "none",
  },
});

export type RawPolicy = Read<typeof policyShape>;
