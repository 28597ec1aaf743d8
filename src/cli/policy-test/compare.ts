import type { Bag } from "../../attributes/bag.ts";
import type { Decision, LimitState, QuotaOutcome } from "../../runtime/decision.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { httpStatusOf } from "../../wire/status.ts";
import { compareLogs, compareMetrics, compareSpans } from "./compare-telemetry.ts";
import { same, sameEdits, sameMessage, sameMs, sameReads, sameRules } from "./difference.ts";
import type { Difference } from "./difference.ts";
import { codeName, isRule } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import type { Expectation, ExpectedDrop, ExpectedFault, ExpectedLimit, ExpectedQuota } from "./test-file.ts";

/** What differs between the expectation and the outcome, in the order of the format's keys. Empty: the step passed. */
export function compare(expect: Expectation, outcome: Outcome, bag: Bag): Difference[] {
  const differences: Difference[] = [];
  const { decision } = outcome;
  if (decision !== undefined) compareDecision(expect, decision, bag, differences);
  if (expect.taken !== undefined) same(differences, "taken", expect.taken, outcome.record === "taken");
  if (expect.metrics !== undefined) differences.push(...compareMetrics(expect.metrics, outcome.samples));
  if (expect.logs !== undefined) differences.push(...compareLogs(expect.logs, outcome.entries));
  if (expect.spans !== undefined) differences.push(...compareSpans(expect.spans, outcome.spans));
  if (expect.faults !== undefined) compareFaults(expect, outcome, differences);
  if (expect.dropped !== undefined) compareDrops(expect, outcome, differences);
  return differences;
}

function compareDecision(expect: Expectation, decision: Decision, bag: Bag, differences: Difference[]): void {
  const verdict = decision.allowed ? "allow" : codeName(decision.code);
  const first = decision.rules[0];
  if (expect.outcome !== undefined && expect.outcome !== verdict) {
    const expected =
      expect.outcome === "allow" ? "allow" : { deny: expect.outcome, ...(expect.by && { by: expect.by }) };
    const message = decision.message === "" ? {} : { message: decision.message };
    const found = decision.allowed ? "allow" : { deny: verdict, by: first ?? null, ...message };
    differences.push({ what: "answer", expected, found });
  } else if (expect.by !== undefined && (first === undefined || !isRule(first, expect.by))) {
    differences.push({ what: "by", expected: expect.by, found: first ?? null });
  }
  if (expect.rules !== undefined) sameRules(differences, "rules", expect.rules, decision.rules);
  if (expect.observed !== undefined) sameRules(differences, "observed", expect.observed, decision.observed);
  if (expect.message !== undefined) sameMessage(differences, "message", expect.message, decision.message);
  if (expect.http !== undefined) compareHttp(expect.http, decision, differences);
  const { request, response } = expect.headers ?? {};
  if (request !== undefined) sameEdits(differences, "headers.request", request, decision.requestHeaders);
  if (response !== undefined) sameEdits(differences, "headers.response", response, decision.responseHeaders);
  if (expect.quotas?.size === 0) sameNames(differences, "quotas", [...decision.quotas.keys()]);
  const judged = decision.limits.map(({ rule }) => rule);
  if (expect.limits?.size === 0) sameNames(differences, "limits", judged);
  for (const [name, quota] of expect.quotas ?? []) {
    compareQuota(`quotas.${name}`, quota, decision.quotas.get(name), bag, differences);
  }
  for (const [name, limit] of expect.limits ?? []) {
    const state = decision.limits.find(({ rule }) => isRule(rule, name));
    compareLimit(`limits.${name}`, limit, state, differences);
  }
  if (expect.validForMs !== undefined) sameMs(differences, "valid_for", expect.validForMs, decision.validForMs);
  if (expect.validUses !== undefined) same(differences, "valid_uses", expect.validUses, decision.validUses);
  if (expect.reads !== undefined) sameReads(differences, "reads", expect.reads, decision.reads, bag);
}

/** An empty map of what is expected says that there is nothing. */
function sameNames(differences: Difference[], what: string, found: readonly string[]): void {
  if (found.length > 0) differences.push({ what, expected: {}, found });
}

/** What the rule left out is as the doors fill it in: the status of the code, and the message. */
function compareHttp(
  expected: NonNullable<Expectation["http"]>,
  { http, code, message }: Decision,
  differences: Difference[],
): void {
  const status = http && (http.status ?? httpStatusOf(code));
  const body = http && (http.body ?? message);
  if (expected.status !== undefined) same(differences, "http.status", expected.status, status ?? null);
  if (expected.body !== undefined) same(differences, "http.body", expected.body, body ?? null);
  for (const [name, value] of expected.headers ?? []) {
    const values = http?.headers.filter((header) => header.name === name.toLowerCase()).map((header) => header.value);
    if (values?.includes(value) !== true) {
      differences.push({ what: `http.headers.${name}`, expected: value, found: values?.join(", ") ?? null });
    }
  }
}

function compareQuota(
  what: string,
  expected: ExpectedQuota,
  found: QuotaOutcome | undefined,
  bag: Bag,
  differences: Difference[],
): void {
  if (found === undefined) {
    differences.push({ what, expected: "an answer", found: null });
    return;
  }
  if (expected.granted !== undefined) same(differences, `${what}.granted`, expected.granted, found.granted);
  if (expected.code !== undefined) same(differences, `${what}.code`, expected.code, codeName(found.code));
  if (expected.message !== undefined) sameMessage(differences, `${what}.message`, expected.message, found.message);
  if (expected.valid_for !== undefined) sameMs(differences, `${what}.valid_for`, expected.valid_for, found.validForMs);
  if (expected.reads !== undefined) sameReads(differences, `${what}.reads`, expected.reads, found.reads, bag);
}

function compareLimit(
  what: string,
  expected: ExpectedLimit,
  found: LimitState | undefined,
  differences: Difference[],
): void {
  if (found === undefined) {
    differences.push({ what, expected: "judged", found: null });
    return;
  }
  if (expected.allowed !== undefined) same(differences, `${what}.allowed`, expected.allowed, found.allowed);
  if (expected.amount !== undefined) same(differences, `${what}.amount`, expected.amount, found.amount);
  if (expected.window !== undefined) sameMs(differences, `${what}.window`, expected.window, found.windowMs);
  if (expected.remaining !== undefined) same(differences, `${what}.remaining`, expected.remaining, found.remaining);
  if (expected.reset !== undefined) sameMs(differences, `${what}.reset`, expected.reset, found.resetMs);
  if (expected.retry_after !== undefined) {
    sameMs(differences, `${what}.retry_after`, expected.retry_after, found.retryAfterMs);
  }
  if (expected.degraded !== undefined) {
    same(differences, `${what}.degraded`, expected.degraded, found.degraded === true);
  }
}

function compareFaults(expect: Expectation, { faults }: Outcome, differences: Difference[]): void {
  const listed = faults.map((fault) => ({ ...fault }));
  const matches = (wanted: NonNullable<Expectation["faults"]>[number], fault: (typeof listed)[number]) =>
    isRule(fault.rule, wanted.rule) &&
    (wanted.part === undefined || wanted.part === fault.part) &&
    (wanted.kind === undefined || wanted.kind === fault.kind);
  for (const wanted of expect.faults ?? []) {
    if (!listed.some((fault) => matches(wanted, fault))) {
      differences.push({ what: "faults", expected: stated(wanted), found: listed });
    }
  }
  const surplus = listed.filter((fault) => expect.faults?.some((wanted) => matches(wanted, fault)) !== true);
  if (surplus.length > 0) differences.push({ what: "faults", expected: null, found: surplus });
}

function compareDrops(expect: Expectation, { dropped }: Outcome, differences: Difference[]): void {
  const listed = dropped.map((drop) => ({ ...drop }));
  for (const wanted of expect.dropped ?? []) {
    const found = listed.filter(
      (drop) => drop.what === wanted.what && (wanted.reason === undefined || wanted.reason === drop.reason),
    );
    const total = found.reduce((sum, drop) => sum + drop.count, 0);
    if (total === 0 || (wanted.count !== undefined && total !== wanted.count)) {
      differences.push({ what: "dropped", expected: stated(wanted), found: listed });
    }
  }
  if (expect.dropped?.length === 0 && listed.length > 0) {
    differences.push({ what: "dropped", expected: [], found: listed });
  }
}

/** What an expectation says, without what it leaves open. */
function stated(wanted: ExpectedFault | ExpectedDrop): JsonValue {
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as JsonValue;
}
