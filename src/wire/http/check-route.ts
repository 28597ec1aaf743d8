import { Bag } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import type { Asked, Decision, HeaderOperation } from "../../runtime/decision.ts";
import { nearest } from "../../util/nearest.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { DoorOptions } from "../call.ts";
import { refuseForeignAttributes } from "../permit.ts";
import { checkQuotaCount } from "../quota-count.ts";
import { referencesOf, referenceText } from "../references.ts";
import { grpcCodeName, httpStatusOf } from "../status.ts";
import { fillBag } from "./attributes.ts";
import { isObject, parseJson } from "./json.ts";
import { httpDoorName, type HttpRoute } from "./route.ts";

/** `POST /v1/check`: judges the attributes in the body. What was judged is HTTP 200, refused or not. */
export function checkRoute({ open, observer }: Pick<DoorOptions, "open" | "observer">): HttpRoute {
  return {
    method: "POST",
    path: "/v1/check",
    name: "check",
    async handle({ body, call }) {
      const json = bodyObject(body, ["attributes", "quotas", "dedup_id"]);
      const { dedup_id: dedupId = "" } = json;
      if (typeof dedupId !== "string" || dedupId.length > 256) {
        throw new WeirError("WEIR_REQUEST_MALFORMED", "dedup_id is a string of at most 256 characters");
      }
      const asked: Asked = { quotas: quotasOf(json["quotas"]), dedupId, caller: call.peer, carrier: call };
      const session = open();
      try {
        const bag = new Bag(session.layout);
        fillBag(bag, session.vocabulary, json["attributes"] ?? {});
        refuseForeignAttributes(bag, call.client, httpDoorName, observer);
        const decision = await session.check(bag, asked);
        return { status: 200, json: decisionJson(decision, bag) };
      } finally {
        session.end();
      }
    },
  };
}

/** The body as an object that has only the keys which are known here. */
export function bodyObject(body: Uint8Array, keys: readonly string[]): Readonly<Record<string, unknown>> {
  const json = parseJson(body);
  if (!isObject(json)) throw new WeirError("WEIR_REQUEST_MALFORMED", "the body is a JSON object");
  const unknown = Object.keys(json).find((key) => !keys.includes(key));
  if (unknown === undefined) return json;
  const near = nearest(unknown, keys);
  const hint = near === undefined ? `; there are ${keys.join(", ")}` : `; did you mean ${near}?`;
  throw new WeirError("WEIR_REQUEST_MALFORMED", `unknown key ${JSON.stringify(unknown.slice(0, 60))}${hint}`);
}

/** `{"name": 1}` or `{"name": {"amount": 1, "best_effort": true}}`. */
function quotasOf(json: unknown): ReadonlyMap<string, { amount: number; bestEffort: boolean }> {
  const quotas = new Map<string, { amount: number; bestEffort: boolean }>();
  if (json === undefined) return quotas;
  if (!isObject(json)) throw new WeirError("WEIR_REQUEST_MALFORMED", "quotas is an object of names and amounts");
  for (const [name, given] of Object.entries(json)) {
    const { amount, best_effort: bestEffort = false, ...rest } = isObject(given) ? given : { amount: given };
    if (!Number.isSafeInteger(amount) || (amount as number) < 0) {
      throw new WeirError(
        "WEIR_REQUEST_QUOTA",
        `the amount of quota ${name.slice(0, 60)} is a whole number of 0 or more`,
      );
    }
    if (typeof bestEffort !== "boolean" || Object.keys(rest).length > 0) {
      throw new WeirError(
        "WEIR_REQUEST_QUOTA",
        `quota ${name.slice(0, 60)} is an amount, or an object of amount and best_effort`,
      );
    }
    quotas.set(name, { amount: amount as number, bestEffort });
    checkQuotaCount(quotas);
  }
  return quotas;
}

/** A decision as the HTTP door shows it; `openapi.ts` describes it. */
function decisionJson(decision: Decision, bag: Bag): Readonly<Record<string, unknown>> {
  return {
    allowed: decision.allowed,
    code: codeText(decision.code),
    message: decision.message,
    rules: decision.rules,
    http: decision.allowed ? null : directResponse(decision),
    headers: {
      request: decision.requestHeaders.map(headerJson),
      response: decision.responseHeaders.map(headerJson),
    },
    quotas: Object.fromEntries(
      Array.from(decision.quotas, ([name, { granted, validForMs, code, message }]) => [
        name,
        { granted, valid_for: durationText(validForMs), code: codeText(code), message },
      ]),
    ),
    limits: decision.limits.map((limit) => ({
      rule: limit.rule,
      allowed: limit.allowed,
      amount: limit.amount,
      window: durationText(limit.windowMs),
      remaining: limit.remaining,
      reset: durationText(limit.resetMs),
      retry_after: limit.retryAfterMs === undefined ? null : durationText(limit.retryAfterMs),
      degraded: limit.degraded ?? false,
    })),
    valid_for: durationText(decision.validForMs),
    valid_uses: decision.validUses,
    referenced: referencesOf(bag, decision.reads).map(referenceText),
    id: decision.id,
    version: decision.version,
  };
}

/** What to answer in place of the service: what the rule says, and where it says nothing what its code means. */
function directResponse({ http, code, message }: Decision): object {
  return { status: http?.status ?? httpStatusOf(code), body: http?.body ?? message, headers: http?.headers ?? [] };
}

function headerJson({ operation, name, value }: HeaderOperation): object {
  return operation === "remove" ? { op: operation, name } : { op: operation, name, value };
}

/** The name of a gRPC code as policies write it: `permission_denied`. */
function codeText(code: number): string {
  return grpcCodeName(code).toLowerCase();
}

function durationText(ms: number): string {
  return String(Duration.fromMs(ms) ?? Duration.fromMs(0));
}
