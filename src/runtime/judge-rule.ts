import { Fault } from "../attributes/fault.ts";
import type { AskRule, DenyRule, HeaderEdit, HeadersRule } from "../policy/snapshot.ts";
import type { Verdict } from "../sdk/index.ts";
import { refusalCodes } from "../sdk/index.ts";
import { excused, isExcuse } from "./applies.ts";
import { askInput, MissingInput } from "./ask-input.ts";
import { Failure } from "./failure.ts";
import type { HeaderOperation } from "./decision.ts";
import { addOperations } from "./header-operations.ts";
import type { Judgement } from "./judgement.ts";
import type { PreparedRule } from "./prepared-rule.ts";
import { codes, unanswered } from "./refusal.ts";

/** A deny of a table whose `match` and `when` hold, or are faults, and what its `unless` gave: it refuses if not excused. */
export function judgeDeny(
  judgement: Judgement,
  prepared: PreparedRule,
  applies: true | Fault,
  excuse: boolean | undefined | Fault,
): void {
  if (applies !== true) judgement.fault(prepared.rule, "when", applies);
  if (excuse === true) return;
  const rule = prepared.rule as DenyRule;
  if (isExcuse(excuse, rule, judgement.context.observer)) return;
  judgement.refuse(rule, refusalCodes[rule.code], rule.message ?? `refused by ${rule.id}`);
}

/** An ask whose `match` and `when` hold, or are faults. The promise, if there is one, resolves when the adapter has answered. */
export function judgeAsk(
  judgement: Judgement,
  prepared: PreparedRule,
  applies: true | Fault,
): Promise<void> | undefined {
  const { bag, asked, context } = judgement;
  const rule = prepared.rule as AskRule;
  if (applies !== true) judgement.fault(rule, "when", applies);
  if (excused(prepared, bag, context.observer)) {
    judgement.takePart(prepared);
    return undefined;
  }
  if (applies !== true) {
    judgement.takePart(prepared);
    if (rule.onError === "deny") judgement.refuse(rule, codes.unavailable, unanswered(rule));
    return undefined;
  }
  const input = askInput(rule.with, prepared.optional, bag);
  if (input instanceof MissingInput) {
    // The caller can leave an attribute out, or garble it, as it likes: that must not open a door.
    context.observer.ruleFault(rule.id, "with", input.kind);
    judgement.takePart(prepared);
    judgement.refuse(rule, codes.permissionDenied, rule.message ?? `${rule.id} needs the input ${input.name}`);
    return undefined;
  }
  const verdict = context.callsOf(rule.ask).check(input, asked, asked.trace);
  if (verdict instanceof Promise) return verdict.then((settled) => takeVerdict(judgement, prepared, settled));
  takeVerdict(judgement, prepared, verdict);
  return undefined;
}

function takeVerdict(judgement: Judgement, prepared: PreparedRule, verdict: Verdict | Failure): void {
  const rule = prepared.rule as AskRule;
  if (verdict instanceof Failure) {
    if (prepared.enforced) judgement.validity.none();
    if (rule.onError === "deny") judgement.refuse(rule, codes.unavailable, unanswered(rule));
    return;
  }
  judgement.takePart(prepared, verdict.validForMs, verdict.validUses);
  if (verdict.allow) return;
  const code = refusalCodes[verdict.code ?? "permission_denied"];
  judgement.refuse(rule, code, rule.message ?? (verdict.message || `refused by ${rule.id}`));
}

/**
 * A rule for headers whose `match` and `when` hold, or are faults. Where they are faults the headers that it names are
 * removed, as one is whose value fails: a caller that garbles what the rule reads must not get its own through.
 */
export function noteHeaders(judgement: Judgement, prepared: PreparedRule, applies: true | Fault): void {
  // In mode observe no header is touched.
  if (!prepared.enforced) return;
  const rule = prepared.rule as HeadersRule;
  judgement.takePart(prepared);
  if (applies !== true) judgement.fault(rule, "when", applies);
  if (excused(prepared, judgement.bag, judgement.context.observer)) return;
  (judgement.headers ??= []).push({ rule, known: applies === true });
}

/** Evaluates the headers of a request that no deny and no ask refused. */
export function applyHeaders(judgement: Judgement): void {
  const { bag, context, headers } = judgement;
  if (headers === undefined) return;
  const requestHeaders: HeaderOperation[] = [];
  const responseHeaders: HeaderOperation[] = [];
  for (const { rule, known } of headers) {
    const request = known ? rule.request : rule.request.map(removal);
    const response = known ? rule.response : rule.response.map(removal);
    addOperations(requestHeaders, rule, request, bag, context.observer);
    addOperations(responseHeaders, rule, response, bag, context.observer);
    if (rule.query === undefined) continue;
    addOperations((judgement.query ??= []), rule, known ? rule.query : rule.query.map(removal), bag, context.observer);
  }
  judgement.requestHeaders = requestHeaders;
  judgement.responseHeaders = responseHeaders;
}

function removal({ name }: HeaderEdit): HeaderEdit {
  return { operation: "remove", name };
}
