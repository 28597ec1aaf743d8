import type { JsonValue } from "../../sdk/index.ts";
import { isSecretName, maskedQuery, maskedText } from "../../util/secret-name.ts";
import { jsonValue } from "../json.ts";

/**
 * A value as JSON, for a log or a span: masked as a whole; or else of a map the entries that look like secrets, and of a
 * text with a query such parameters.
 *
 * @param reveal names, in lower case, that are shown though they look like secrets
 */
export function shownValue(found: unknown, isMasked: boolean, reveal: ReadonlySet<string>): JsonValue {
  if (isMasked) return maskedText;
  if (typeof found === "string") return maskedQuery(found, reveal);
  return jsonValue(found instanceof Map ? masking(found, reveal) : found);
}

/** A map whose entries that look like secrets are masked. */
function masking(map: ReadonlyMap<unknown, unknown>, reveal: ReadonlySet<string>): ReadonlyMap<unknown, unknown> {
  const isSecret = (key: unknown): boolean =>
    typeof key === "string" && isSecretName(key) && !reveal.has(key.toLowerCase());
  return new Map(Array.from(map, ([key, value]) => [key, isSecret(key) ? maskedText : value]));
}
