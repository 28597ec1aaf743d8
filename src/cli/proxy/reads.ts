import type { Layout } from "../../attributes/layout.ts";
import type { AttributeUse, Equality, Expression } from "../../expression/index.ts";
import { spanUses } from "../../policy/span-facts.ts";
import type { CheckRule, LimitRule, ReportRule, Snapshot } from "../../policy/snapshot.ts";

/** What the rules of a policy set read, by who has to send it. */
export interface PolicyReads {
  /** What the rules read that an authorization check judges. */
  readonly check: readonly AttributeUse[];
  /** What the rules read that reports feed. */
  readonly report: readonly AttributeUse[];
  /** Limits, `policy/rule`, to which no proxy can keep by itself. */
  readonly undivided: readonly string[];
  /** The limits of the rate limit filter. */
  readonly limits: readonly LimitReads[];
  /** Whether reports end what requests hold of limits: the sooner they come the better. */
  readonly ends: boolean;
  /** Whether counters grow while requests are under way. */
  readonly ongoing: boolean;
  /** Whether there is any rule that an authorization check judges. */
  readonly checks: boolean;
  /** Whether any rule sets a parameter of the query. */
  readonly setsQuery: boolean;
}

/** What a limit of the rate limit filter reads. */
export interface LimitReads {
  /** `policy/rule`. */
  readonly rule: string;
  readonly uses: readonly AttributeUse[];
  /** Texts that attributes and keys of maps must equal for the limit to apply, by {@link useText}. */
  readonly equals: ReadonlyMap<string, string>;
}

/** Collects what the rules of a snapshot read. */
export function readsOfPolicies(snapshot: Snapshot): PolicyReads {
  const isLimit = (rule: CheckRule): rule is LimitRule => rule.kind === "limit" && rule.at === "ratelimit";
  const judged = snapshot.checks.filter((rule) => !isLimit(rule));
  const limits = snapshot.checks.filter((rule) => rule.kind === "limit");
  return {
    ends: limits.some(({ limit, settle }) => limit.algorithm === "concurrency" || settle !== undefined),
    check: distinct(judged.flatMap(expressionsOfCheck)),
    report: distinct(
      [...snapshot.reports.flatMap(expressionsOfReport), ...limits.map(({ settle }) => settle)],
      snapshot.reports.some(({ kind }) => kind === "span") ? spanUses : [],
    ),
    limits: snapshot.checks.filter(isLimit).map((rule) => ({
      rule: rule.id,
      uses: distinct(expressionsOfCheck(rule)),
      equals: equalsOf([rule.policy.match, rule.when], snapshot.layout),
    })),
    undivided: snapshot.checks
      .filter(isLimit)
      .filter(({ limit, policy }) => limit.algorithm === "concurrency" && policy.mode === "enforce")
      .map(({ id }) => id),
    ongoing: snapshot.reports.some((rule) => rule.kind === "metric" && rule.ongoing === true),
    checks: judged.length > 0,
    setsQuery: judged.some(
      (rule) => rule.kind === "headers" && rule.query?.some(({ operation }) => operation === "set"),
    ),
  };
}

/** How an attribute or a key of one is written: `request.path`, `request.headers["x"]`. */
export function useText({ name, key }: Pick<AttributeUse, "name" | "key">): string {
  return key === undefined ? name : `${name}[${JSON.stringify(key)}]`;
}

/** The texts that the rules compare an attribute with, sorted. */
export function comparedWith(snapshot: Snapshot, attribute: string): string[] {
  const checks = snapshot.checks.map(({ policy, when }) => equalsOf([policy.match, when], snapshot.layout));
  const reports = snapshot.reports.map(({ policy, when }) =>
    equalsOf([policy.reportMatch, when], snapshot.reportLayout),
  );
  const found = [...checks, ...reports].flatMap((equals) => equals.get(attribute) ?? []);
  return [...new Set(found)].sort();
}

function expressionsOfCheck(rule: CheckRule): (Expression | undefined)[] {
  const common = [rule.policy.match, rule.when, rule.unless];
  if (rule.kind === "ask") return [...common, ...rule.with.map(({ value }) => value)];
  if (rule.kind === "limit") return [...common, rule.cost, ...rule.by.map(({ value }) => value)];
  if (rule.kind === "deny") return common;
  const edits = [...rule.request, ...rule.response, ...(rule.query ?? [])];
  return [...common, ...edits.map((edit) => ("value" in edit ? edit.value : undefined))];
}

function expressionsOfReport(rule: ReportRule): (Expression | undefined)[] {
  const common = [rule.policy.reportMatch, rule.when, rule.unless];
  if (rule.kind === "metric") return [...common, rule.value, ...rule.labels.map(({ value }) => value)];
  if (rule.kind === "span") {
    const { operation, spanKind, trace, spanId, parent, start, end, failed, service, attributes } = rule;
    const kind = typeof spanKind === "string" ? undefined : spanKind;
    const own = [operation, kind, trace, spanId, parent, start, end, failed, service];
    return [...common, ...own, ...attributes.map(({ value }) => value)];
  }
  const severity = typeof rule.severity === "string" ? undefined : rule.severity;
  return [...common, severity, ...rule.fields.map(({ value }) => value)];
}

/** Each attribute and key once, sorted; guarded only where every read is. */
function distinct(
  expressions: readonly (Expression | undefined)[],
  others: readonly AttributeUse[] = [],
): AttributeUse[] {
  const found = new Map<string, AttributeUse>();
  for (const use of [...others, ...expressions.flatMap((expression) => expression?.uses ?? [])]) {
    const text = useText(use);
    const guarded = use.guarded && (found.get(text)?.guarded ?? true);
    found.set(text, { ...use, guarded });
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use);
}

function equalsOf(expressions: readonly (Expression | undefined)[], layout: Layout): Map<string, string> {
  const equalities: Equality[] = expressions.flatMap((expression) => expression?.equalities ?? []);
  return new Map(
    equalities.map(({ slot, value }) => {
      const { name, key } = layout.slots[slot]!;
      return [useText({ name, ...(key !== undefined && { key }) }), value];
    }),
  );
}
