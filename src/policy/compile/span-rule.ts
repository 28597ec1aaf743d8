import { traceFormats } from "../../attributes/trace-context.ts";
import type { Timestamp } from "../../attributes/timestamp.ts";
import type { Expression } from "../../expression/expression.ts";
import { spanKinds, type SpanKind } from "../../sdk/index.ts";
import type { RuleContext, RuleHead } from "./rule-head.ts";
import type { RawReportRule } from "../schema/report-rule.ts";
import { condition, instant, showable, textual } from "./rule-expressions.ts";
import type { ExpressionText } from "../shape/scalars.ts";
import { revealOf, shownField } from "./secret-fields.ts";
import type { ShownField, SpanRule } from "../snapshot.ts";
import { declareSpanFacts } from "../span-facts.ts";
import { shaped } from "./shaped.ts";
import { keyNode } from "../yaml/node.ts";

/** Compiles a rule that makes spans. */
export function compileSpan(context: RuleContext, raw: RawReportRule, head: RuleHead): SpanRule | undefined {
  const { reading, expressions } = context;
  const text = (given: ExpressionText | undefined): Expression<string> | undefined =>
    given && expressions.compile<string>(reading, given, "report", textual);
  const time = (given: ExpressionText | undefined): Expression<Timestamp> | undefined =>
    given && expressions.compile<Timestamp>(reading, given, "report", instant);

  const reveal = revealOf(raw);
  const attributes: ShownField[] = [];
  for (const { name, key, value } of raw.attributes?.entries ?? []) {
    if (name === "" || name.length > 256) {
      const message = "an attribute's name has 1 to 256 characters";
      reading.tell(key, { code: "WEIR_POLICY_SHAPE", message });
    }
    const expression = expressions.compile(reading, value, "report", showable);
    if (expression !== undefined) attributes.push(shownField(name, expression, reveal, expressions.vocabulary));
  }
  const formats = raw.context?.items.map(({ value }) => value) ?? traceFormats;
  if (raw.to === undefined && keyNode(raw.node, "to") === undefined) {
    const message = `a span needs the key "to": the name of an adapter that takes spans`;
    reading.tell(keyNode(raw.node, "span")!, { code: "WEIR_POLICY_SHAPE", message });
  }
  const rule = {
    operation: text(raw.operation),
    spanKind: kindOf(raw.spanKind, text),
    trace: text(raw.trace),
    spanId: text(raw.id),
    parent: text(raw.parent),
    start: time(raw.start),
    end: time(raw.end),
    failed: raw.failed && expressions.compile<boolean>(reading, raw.failed, "report", condition),
    service: text(raw.service),
  };
  if (raw.span === undefined || raw.to === undefined) return undefined;
  declareSpanFacts(expressions.layouts.report, expressions.vocabulary);
  const { ratio, follow, perSecond } = raw.sampling ?? {};
  return shaped<SpanRule>({
    kind: "span",
    ...head,
    to: raw.to.value,
    span: raw.span.value,
    ids: raw.ids?.value ?? "new",
    formats,
    root: raw.root?.value ?? true,
    ...rule,
    attributes,
    reveal,
    sampling: { ratio: ratio?.value ?? 1, follow: follow?.value ?? true, perSecond: perSecond?.value },
  });
}

function kindOf(
  given: ExpressionText | undefined,
  text: (given: ExpressionText) => Expression<string> | undefined,
): SpanKind | Expression<string> | undefined {
  if (given === undefined) return undefined;
  return spanKinds.find((kind) => kind === given.text) ?? text(given);
}
