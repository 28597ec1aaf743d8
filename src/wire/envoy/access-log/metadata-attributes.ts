import type { Bag } from "../../../attributes/bag.ts";
import { setMap } from "../../../attributes/set-map.ts";
import type { JsonObject } from "../../protobuf/struct.ts";
import { grpcCodeOf } from "../../status.ts";
import { flattened, readFilters } from "../metadata.ts";
import { jwtFilter, setToken } from "../token.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";

/** The filters under whose names stands what the hub decided, as `decision-metadata.ts` writes it. */
const checkFilter = "envoy.filters.http.ext_authz";
const connectionFilter = "envoy.filters.network.ext_authz";
const rateLimitFilter = "envoy.filters.http.ratelimit";
const decisionId = "decision_id";

/** Puts into a bag what filters of the proxy found out: all of it, the verified token, and what a check decided. */
export function fillMetadata(bag: Bag, slots: EntrySlots, entry: Entry): void {
  if (!entry.common.has(17)) return;
  const filters = readFilters(entry.at(entry.common, 17));
  setMap(bag, "context.metadata", flattened(filters));
  const token = filters.get(jwtFilter);
  if (token !== undefined) setToken(bag, token);
  const decision = (entry.isTcp ? filters.get(connectionFilter) : undefined) ?? filters.get(checkFilter);
  if (decision !== undefined) putDecision(bag, slots, decision);
  const limits = filters.get(rateLimitFilter)?.get(decisionId);
  if (slots.rateLimit.id >= 0 && typeof limits === "string") bag.set(slots.rateLimit.id, limits);
}

function putDecision(bag: Bag, { check }: EntrySlots, decision: JsonObject): void {
  const text = (key: string): string | undefined => {
    const value = decision.get(key);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  if (check.id >= 0) bag.set(check.id, text(decisionId));
  if (check.version >= 0) bag.set(check.version, text("policy_version"));
  const rules = decision.get("rules");
  if (check.rules >= 0 && Array.isArray(rules)) {
    bag.set(check.rules, rules.filter((rule) => typeof rule === "string").join(","));
  }
  const code = grpcCodeOf(text("code") ?? "");
  if (check.errorCode >= 0 && code !== undefined && code !== 0) bag.set(check.errorCode, code);
}
