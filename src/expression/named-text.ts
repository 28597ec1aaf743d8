import { domainToASCII } from "node:url";
import { Fault } from "../attributes/fault.ts";

/** Types of text whose equality is not that of strings. */
export type NamedText = "email" | "uri" | "dns_name";

/** The longest text that is compared by these rules; none of the three is longer in earnest (RFC 1035, RFC 5321). */
const maxLength = 8192;

/**
 * Equality as Mixer has it. Host names: IDNA, case-insensitive, one trailing dot ignored. Mail addresses: local part
 * exactly, the domain as a host name. URIs: scheme case-insensitive; for http and https the host as a host name and an
 * empty port as none; the rest exactly. A text that is none of the kind is a fault.
 */
export function sameNamedText(kind: NamedText): (a: string, b: string) => boolean | Fault {
  const canonical = { email: canonicalEmail, uri: canonicalUri, dns_name: canonicalHost }[kind];
  return (a, b) => {
    if (a === b) return true;
    const left = a.length > maxLength ? undefined : canonical(a);
    if (left === undefined) return notA(kind, a);
    const right = b.length > maxLength ? undefined : canonical(b);
    if (right === undefined) return notA(kind, b);
    return left === right;
  };
}

function notA(kind: NamedText, text: string): Fault {
  return new Fault(
    `expected ${kind === "dns_name" ? "a DNS name" : `a ${kind}`}, found ${JSON.stringify(text.slice(0, 80))}`,
  );
}

/** A name that is plain already needs no IDNA. */
const plain = /^(?!.*\bxn--)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

function canonicalHost(text: string): string | undefined {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const lower = name.toLowerCase();
  if (plain.test(lower)) return lower;
  if (name === "" || name.startsWith(".") || name.includes("..") || /[\s/:@?#%[\]\\]/.test(name)) return undefined;
  return domainToASCII(name) || undefined;
}

function canonicalEmail(text: string): string | undefined {
  const at = text.lastIndexOf("@");
  if (at <= 0) return undefined;
  const domain = canonicalHost(text.slice(at + 1));
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(text.slice(0, at));
  const local = quoted === null ? text.slice(0, at) : quoted[1]!.replaceAll(/\\(.)/gs, "$1");
  return domain === undefined ? undefined : `${local}@${domain}`;
}

function canonicalUri(text: string): string | undefined {
  if (text === "") return undefined;
  const m = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text);
  if (m === null) return text;
  const scheme = m[1]!.toLowerCase();
  const rest = m[2]!;
  const authority = scheme === "http" || scheme === "https" ? /^\/\/([^/?#]*)(.*)$/s.exec(rest) : null;
  if (authority === null) return `${scheme}:${rest}`;
  const parts = /^((?:.*@)?)(\[[^\]]*\]|[^:]*)(?::(\d*))?$/s.exec(authority[1]!);
  if (parts === null) return undefined;
  const host = parts[2]!.startsWith("[") ? parts[2]!.toLowerCase() : canonicalHost(parts[2]!);
  if (host === undefined) return undefined;
  const port = parts[3] ? `:${parts[3]}` : "";
  return `${scheme}://${parts[1]}${host}${port}${authority[2]}`;
}
