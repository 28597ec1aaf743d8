import type { X509Certificate } from "node:crypto";

/** The names that a certificate bears, as far as clients are named by them. */
export interface PeerNames {
  /** The SPIFFE id, when the certificate is an X.509 SVID: one that has exactly one URI (X509-SVID, 2). */
  readonly spiffe: string | undefined;
  /** In lower case. One with a wildcard names nobody. */
  readonly dns: readonly string[];
}

/** More names than this are not looked at. */
const maxNames = 64;

/** The names of a certificate that was verified. The common name is none (RFC 9525, 1.4). */
export function peerNames({ subjectAltName = "" }: Pick<X509Certificate, "subjectAltName">): PeerNames {
  const uris: string[] = [];
  const dns: string[] = [];
  for (const { kind, value } of alternativeNames(subjectAltName)) {
    if (kind === "URI") uris.push(value);
    else if (kind === "DNS" && !value.includes("*")) dns.push(value.toLowerCase());
  }
  const [uri] = uris;
  return { spiffe: uris.length === 1 && uri!.startsWith("spiffe://") ? uri : undefined, dns };
}

/**
 * Takes apart what Node writes: `KIND:value, KIND:value`, a value in JSON's quotes where it holds what could be taken for
 * the end of it (https://nodejs.org/api/crypto.html#x509subjectaltname).
 */
function* alternativeNames(text: string): Generator<{ readonly kind: string; readonly value: string }> {
  const pattern = /([^:,]*):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/gy;
  for (let count = 0; count < maxNames && pattern.lastIndex < text.length; count++) {
    const found = pattern.exec(text);
    // What is written in another way names nobody.
    if (found === null) return;
    const value = found[2]!.startsWith('"') ? unquoted(found[2]!) : found[2]!;
    if (value !== undefined) yield { kind: found[1]!, value };
  }
}

function unquoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Names as a log line shows them, cut. */
export function namesText({ spiffe, dns }: PeerNames): string {
  return [...(spiffe === undefined ? [] : [spiffe]), ...dns].join(", ").slice(0, 300);
}
