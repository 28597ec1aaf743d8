import { createHash } from "node:crypto";
import { isSecretName, maskedText as masked } from "../util/secret-name.ts";

/** The most elements of a list, entries of an object and characters of a text that are shown. */
const maxShown = 100;
const maxText = 1000;
const maxDepth = 8;

/**
 * A configuration as it may be shown: without passwords, tokens and keys, whether they are known by the name they stand
 * under, as part of a URL, or by their form; and without more of it than a person reads.
 */
export function maskConfig(config: unknown, name = "", depth = 0): unknown {
  if (isSecretName(name) && typeof config !== "boolean" && config !== undefined && config !== null) return masked;
  if (typeof config === "string") return maskText(config);
  if (typeof config === "bigint") return String(config);
  if (typeof config !== "object" || config === null) return typeof config === "function" ? undefined : config;
  if (depth >= maxDepth) return "...";
  if (config instanceof RegExp || config instanceof Date || config instanceof URL) return maskText(String(config));
  if (config instanceof Map) return maskConfig(Object.fromEntries(config), name, depth);
  if (config instanceof Set || Array.isArray(config)) {
    const all = [...config] as unknown[];
    const shown = all.slice(0, maxShown).map((element) => maskConfig(element, name, depth + 1));
    return all.length > maxShown ? [...shown, `... ${all.length - maxShown} more`] : shown;
  }
  const entries = Object.entries(config);
  const shown = entries.slice(0, maxShown).map(([key, value]) => [key, maskConfig(value, key, depth + 1)]);
  if (entries.length > maxShown) shown.push(["...", `${entries.length - maxShown} more`]);
  return Object.fromEntries(shown);
}

/**
 * A value that requests bring, as it may be shown: whole, unless one of the names that it stands under is that of a
 * secret. Then it shows how it begins and a part of its SHA-256: who has the secret can tell that it is this one.
 */
export function maskValue(value: string, names: readonly string[]): string {
  const text = maskText(value);
  if (text === value && !names.some(isSecretName)) return value;
  const hash = createHash("sha256").update(value).digest("hex").slice(0, 8);
  return `${value.length >= 16 ? value.slice(0, 4) : ""}${masked}${hash}`;
}

function maskText(text: string): string {
  if (/-----BEGIN [A-Z ]*(PRIVATE|SECRET)/.test(text)) return masked;
  // The user's part and the query of a URL (RFC 3986, 3.2.1 and 3.4).
  const url = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*@)?([^?#]*)(\?[^#]*)?/i.exec(text);
  const shown = url === null ? text : url[1]! + (url[2] ? `${masked}@` : "") + url[3]! + (url[4] ? `?${masked}` : "");
  return shown.length > maxText ? `${shown.slice(0, maxText)}...` : shown;
}
