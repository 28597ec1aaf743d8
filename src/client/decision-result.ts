import {
  HeaderOperation_Operation as Operation,
  Reference_Condition as Condition,
  Verdict,
  type Decision,
  type HeaderOperation as WireHeaderOperation,
} from "../wire/gen/weir/v1/weir.ts";
import { msOf, overall, type CheckResult, type HeaderOperation, type quotasOf } from "./result.ts";
import type { HubWords } from "./stream-words.ts";

/** gRPC's UNKNOWN: for a refusal that does not say why. */
const unknown = 2;

/** A decision of weir.v1 as the client shows it. Whatever is not plainly allowed is refused. */
export function decisionResult(decision: Decision, hub: HubWords, asked: ReturnType<typeof quotasOf>): CheckResult {
  const { verdict, message, directResponse } = decision;
  const code = verdict === Verdict.VERDICT_ALLOWED ? 0 : decision.code || unknown;
  const quotas = new Map(
    Array.from(decision.quotas, ([name, quota]) => [
      name,
      {
        granted: Number(quota.granted),
        validForMs: msOf(quota.validFor),
        code: quota.code,
        message: quota.message,
      },
    ]),
  );
  return {
    ...overall({ code, message }, quotas, asked),
    rules: decision.rules,
    ...(directResponse && {
      http: {
        status: directResponse.status,
        body: directResponse.body,
        headers: directResponse.headers.map(({ name, value }) => ({ name, value })),
      },
    }),
    degraded: decision.limits.filter(({ degraded }) => degraded).map(({ rule }) => rule),
    requestHeaders: decision.requestHeaders.map(headerOf),
    responseHeaders: decision.responseHeaders.map(headerOf),
    quotas,
    validForMs: msOf(decision.validFor),
    validUses: decision.validUses,
    referenced: decision.referenced.map(({ name, key, condition }) => ({
      name: hub.text(name),
      ...(key !== undefined && { key: hub.text(key) }),
      condition: condition === Condition.ABSENT ? "absent" : condition === Condition.WHOLE ? "whole" : "present",
    })),
    id: decision.id,
    version: decision.version,
  };
}

function headerOf({ name, value, operation }: WireHeaderOperation): HeaderOperation {
  const names = { [Operation.SET]: "set", [Operation.APPEND]: "append", [Operation.REMOVE]: "remove" } as const;
  return { operation: names[operation], name, value };
}
