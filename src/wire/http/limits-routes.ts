import { Duration } from "../../attributes/duration.ts";
import type { HoldAsked } from "../../runtime/limits/holds.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { DoorOptions } from "../call.ts";
import { changeHeld, maxRuleLength, readDecisionId } from "../held.ts";
import { bodyObject } from "./check-route.ts";
import type { HttpRoute } from "./route.ts";

type Json = Readonly<Record<string, unknown>>;

/** What each path takes beside the `id`, and what it asks for. */
const changes: Readonly<
  Record<HoldAsked["kind"], { readonly keys: readonly string[]; asked(id: string, json: Json): HoldAsked }>
> = {
  release: { keys: [], asked: (id) => ({ kind: "release", id }) },
  renew: {
    keys: ["ttl"],
    asked(id, { ttl }) {
      if (ttl === undefined) return { kind: "renew", id };
      const forMs = typeof ttl === "string" ? Duration.parse(ttl)?.ms : undefined;
      if (forMs === undefined || !(forMs > 0))
        throw new WeirError("WEIR_REQUEST_MALFORMED", "ttl is a duration above 0 such as 30s");
      return { kind: "renew", id, forMs };
    },
  },
  refund: {
    keys: ["limit", "amount"],
    asked(id, { limit, amount }) {
      if (limit !== undefined && (typeof limit !== "string" || limit.length > maxRuleLength))
        throw new WeirError("WEIR_REQUEST_MALFORMED", "limit is the name of a rule: policy/rule");
      if (amount !== undefined && (!Number.isSafeInteger(amount) || (amount as number) < 1))
        throw new WeirError("WEIR_REQUEST_MALFORMED", "amount is a whole number above 0");
      return {
        kind: "refund",
        id,
        ...(limit === undefined ? {} : { rule: limit }),
        ...(amount === undefined ? {} : { amount: amount as number }),
      };
    },
  },
};

/**
 * `POST /v1/limits/release`, `renew` and `refund`: change what a decision took, by its id. Each works once (`renew` for as
 * long as the lease lasts); where nothing is held under the id any more, the answer is 404 and nothing has changed.
 */
export function limitsRoutes({ open }: Pick<DoorOptions, "open">): readonly HttpRoute[] {
  return Object.entries(changes).map(([kind, { keys, asked }]) => ({
    method: "POST",
    path: `/v1/limits/${kind}`,
    name: kind,
    async handle({ body }) {
      const json = bodyObject(body, ["id", ...keys]);
      const id = readDecisionId(json["id"]);
      const limits = await changeHeld(open, asked(id, json));
      const shown = limits.map(({ rule, units, forMs }) => ({
        rule,
        units,
        ...(forMs === undefined ? {} : { valid_for: String(Duration.fromMs(forMs) ?? Duration.fromMs(0)) }),
      }));
      return { status: 200, json: { id, limits: shown } };
    },
  }));
}
