import type { DoorSettings } from "../../policy/schema/doors.ts";
import type { Decision } from "../../runtime/decision.ts";
import type { HttpAnswer } from "../http/route.ts";
import { rateLimitFields } from "../rate-limit-fields.ts";
import { httpStatusOf } from "../status.ts";
import type { Dialect } from "./dialect.ts";
import { refusalAnswer, refusalToken, type Refusal } from "./refusal.ts";

/** The most characters of a message that stands for a body which is too long. */
const maxMessage = 512;

/** Told of what a proxy cannot carry. */
type Dropped = (what: "header" | "body" | "status", reason: "not_carried" | "bad_value") => void;

/** The answer that refuses a request, in the way that a proxy passes it on to its caller. */
export function refusedAnswer(
  { name: dialect }: Dialect,
  decision: Decision,
  settings: DoorSettings,
  dropped: Dropped,
): HttpAnswer {
  const refusal = refusalOf(decision, settings);
  if (dialect === "nginx") return nginxAnswer(refusal, decision, dropped);
  const answer = refusalAnswer(refusal, () => dropped("header", "bad_value"));
  // To these proxies 2xx is a pass, and to Envoy 5xx a hub that failed, which it may be told to let pass.
  const { status } = answer;
  if (status >= 300 && !(dialect === "envoy" && status >= 500)) return answer;
  dropped("status", "not_carried");
  return { ...answer, status: 403, headers: { ...answer.headers, "x-weir-status": String(status) } };
}

/** What the rule says, and where it says nothing what its code means. */
function refusalOf({ http, code, message, limits }: Decision, settings: DoorSettings): Refusal {
  const own = (http?.headers ?? []).map(({ name, value }) => [name.toLowerCase(), value] as const);
  const told = rateLimitFields(limits, settings.rateLimitFields).filter(
    ([name]) => !own.some(([given]) => given === name),
  );
  return { status: http?.status ?? httpStatusOf(code), headers: [...told, ...own], body: http?.body ?? message };
}

/**
 * nginx passes nothing of this on to its caller: the refusal is in `x-weir-refusal`, which its configuration sends back
 * to the hub for the answer. The other headers are for its log.
 */
function nginxAnswer(refusal: Refusal, { id, rules, message }: Decision, dropped: Dropped): HttpAnswer {
  let token = refusalToken(refusal);
  if (token === undefined) {
    dropped("body", "not_carried");
    token = refusalToken({ ...refusal, body: message.slice(0, maxMessage) });
  }
  if (token === undefined) {
    dropped("header", "not_carried");
    token = refusalToken({ ...refusal, headers: [], body: message.slice(0, maxMessage) })!;
  }
  return {
    status: 403,
    headers: {
      "x-weir-refusal": token,
      "x-weir-status": String(refusal.status),
      "x-weir-decision": id,
      "x-weir-rules": rules.join(",").slice(0, maxMessage),
    },
    body: "",
  };
}
