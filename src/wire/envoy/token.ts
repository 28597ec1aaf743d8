import type { Bag } from "../../attributes/bag.ts";
import { setMap } from "../../attributes/set-map.ts";
import { jsonText, type Json, type JsonObject } from "../protobuf/struct.ts";
import { isStruct, textOf } from "./metadata.ts";

/** The filter of Envoy that verifies tokens, and under whose name it puts what it found. */
export const jwtFilter = "envoy.filters.http.jwt_authn";

const principal = "request.auth.principal";
const audiences = "request.auth.audiences";
const presenter = "request.auth.presenter";
const claims = "request.auth.claims";
const rawClaims = "request.auth.raw_claims";

export const tokenAttributes: readonly string[] = [principal, audiences, presenter, claims, rawClaims];

/**
 * Puts the claims of the verified token into a bag. They lie under the key that `payload_in_metadata` of Envoy's
 * provider names, whatever that is. Where several providers each put a token there, it is the first by its key; a
 * token that names its issuer goes before one that does not.
 */
export function setToken(bag: Bag, fields: JsonObject): void {
  const token = tokenIn(fields);
  if (token === undefined) return;
  const text = (claim: string): string | undefined => {
    const value = token.get(claim);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const issuer = text("iss");
  const subject = text("sub");
  const set = (name: string, value: string | undefined): void => {
    const slot = value === undefined ? undefined : bag.layout.find(name);
    if (slot !== undefined) bag.set(slot, value);
  };
  if (issuer !== undefined && subject !== undefined) set(principal, `${issuer}/${subject}`);
  set(audiences, audienceText(token.get("aud")));
  set(presenter, text("azp"));
  if (bag.layout.find(rawClaims) !== undefined) set(rawClaims, jsonText(token));
  if (bag.layout.find(claims) !== undefined) {
    const texts = Array.from(token, ([name, value]): [string, string] => [name, textOf(value)]);
    setMap(bag, claims, new Map(texts));
  }
}

/** The claims among what the filter put there, which may be headers of tokens and statuses of failures as well. */
function tokenIn(fields: JsonObject): JsonObject | undefined {
  const found = [...fields].filter(([, value]) => isStruct(value)).sort(([a], [b]) => (a < b ? -1 : 1));
  const structs = found.map(([, value]) => value as JsonObject);
  return (
    structs.find((each) => each.has("iss")) ??
    structs.find((each) => each.has("sub")) ??
    structs.find((each) => !each.has("alg") && !each.has("code"))
  );
}

/** One audience, or several separated by commas. */
function audienceText(value: Json | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  return value.filter((each) => typeof each === "string").join(",");
}
