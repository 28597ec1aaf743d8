import { X509Certificate } from "node:crypto";
import { Fault } from "../../attributes/fault.ts";

/** How many certificates are remembered: taking one apart costs as much as judging many requests. */
const maxRemembered = 1024;
/** A longer header is read anew each time. */
const maxRememberedLength = 4096;

/**
 * Makes a reader of the header in which a proxy passes on the certificate that its caller proved: Envoy's
 * `X-Forwarded-Client-Cert`, or a certificate in PEM, percent-encoded (nginx's `$ssl_client_escaped_cert`), or its
 * base64 alone (Traefik's `X-Forwarded-Tls-Client-Cert`). It answers the identity: the first URI of the certificate,
 * else its first DNS name, else its subject; a fault when the header cannot be read.
 */
export function certificateReader(): (header: string) => string | Fault {
  const remembered = new Map<string, string | Fault>();
  return (header) => {
    const known = remembered.get(header);
    if (known !== undefined) return known;
    const identity = readIdentity(header);
    if (header.length > maxRememberedLength) return identity;
    if (remembered.size === maxRemembered) remembered.clear();
    remembered.set(header, identity);
    return identity;
  };
}

function readIdentity(header: string): string | Fault {
  const identity = /^\s*[A-Za-z]+=/.test(header) ? fromForwarded(header) : fromPem(header);
  return identity ?? new Fault("the header of the caller's certificate cannot be read");
}

/** Of the rightmost element, which is the one that the proxy itself wrote. */
function fromForwarded(header: string): string | undefined {
  const element = splitOutsideQuotes(header, ",").at(-1);
  if (element === undefined) return undefined;
  const found = new Map<string, string>();
  for (const pair of splitOutsideQuotes(element, ";")) {
    const equals = pair.indexOf("=");
    if (equals < 0) return undefined;
    const key = pair.slice(0, equals).trim().toLowerCase();
    if (!found.has(key)) found.set(key, unquoted(pair.slice(equals + 1).trim()));
  }
  return [found.get("uri"), found.get("dns"), found.get("subject")].find((name) => name !== undefined && name !== "");
}

/** Parts between separators that stand outside of double quotes; none where quotes do not end. */
function splitOutsideQuotes(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (quoted && text[i] === "\\") i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return quoted ? [] : [...parts, text.slice(start)];
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}

function fromPem(header: string): string | undefined {
  try {
    const text = decodeURIComponent(header);
    const [base64 = ""] = text.replace(/-----(?:BEGIN|END) CERTIFICATE-----/g, "").split(",");
    const { subjectAltName = "", subject } = new X509Certificate(Buffer.from(base64, "base64"));
    const names = [...subjectAltName.matchAll(/(?:^|, )(URI|DNS):("(?:[^"\\]|\\.)*"|[^,]*)/g)];
    const first = (kind: string): string | undefined => {
      const name = names.find(([, each]) => each === kind)?.[2];
      return name?.startsWith('"') === true ? (JSON.parse(name) as string) : name;
    };
    return first("URI") ?? first("DNS") ?? subject;
  } catch {
    return undefined;
  }
}
