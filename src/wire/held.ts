import type { HoldAnswer, HoldAsked } from "../runtime/limits/holds.ts";
import { WeirError } from "../util/weir-error.ts";
import type { OpenSession } from "./session.ts";

/** A decision's id as a caller sends it. Throws WEIR_REQUEST_MALFORMED for what can be none. */
export function readDecisionId(id: unknown): string {
  if (typeof id === "string" && /^[0-9a-f]{32}$/.test(id)) return id;
  throw new WeirError("WEIR_REQUEST_MALFORMED", "id is the id of a decision: 32 hexadecimal digits in lower case");
}

/** The longest name of a rule that is looked for. */
export const maxRuleLength = 300;

const done: Readonly<Record<HoldAsked["kind"], string>> = {
  release: "no lease to release",
  renew: "no lease to renew",
  refund: "nothing to refund",
};

/** Changes what a decision took. Throws WEIR_NOT_HELD where it holds nothing of that kind any more. */
export async function changeHeld(open: OpenSession, asked: HoldAsked): Promise<readonly HoldAnswer[]> {
  const session = open();
  try {
    const limits = await session.hold(asked);
    if (limits.length > 0) return limits;
    throw new WeirError(
      "WEIR_NOT_HELD",
      `there is ${done[asked.kind]} under this id: it was done, or its time is over`,
    );
  } finally {
    session.end();
  }
}
