import { X509Certificate } from "node:crypto";
import { Fault } from "../../attributes/fault.ts";
import { alternativeNames, subjectText } from "../envoy/certificate.ts";

/** Who a caller's certificate says it is. */
export interface ClientCertificate {
  /** The first URI of the certificate, else its first DNS name, else its subject. */
  readonly identity: string;
  /** The certificate itself, where the proxy passes it on. */
  readonly pem?: string | undefined;
}

/** How many certificates are remembered: taking one apart costs as much as judging many requests. */
const maxRemembered = 1024;
/** A longer header is read anew each time. */
const maxRememberedLength = 4096;

/**
 * Makes a reader of the header in which a proxy passes on the certificate that its caller proved: Envoy's
 * `X-Forwarded-Client-Cert`, or a certificate in PEM, percent-encoded (nginx's `$ssl_client_escaped_cert`), or its
 * base64 alone (Traefik's `X-Forwarded-Tls-Client-Cert`). It answers a fault when the header cannot be read.
 */
export function certificateReader(): (header: string) => ClientCertificate | Fault {
  const remembered = new Map<string, ClientCertificate | Fault>();
  return (header) => {
    const known = remembered.get(header);
    if (known !== undefined) return known;
    const read =
      (/^\s*[A-Za-z]+=/.test(header) ? fromForwarded(header) : fromPem(header)) ??
      new Fault("the header of the caller's certificate cannot be read");
    if (header.length > maxRememberedLength) return read;
    if (remembered.size === maxRemembered) remembered.clear();
    remembered.set(header, read);
    return read;
  };
}

/** Of the rightmost element, which is the one that the proxy itself wrote. */
function fromForwarded(header: string): ClientCertificate | undefined {
  const element = splitOutsideQuotes(header, ",").at(-1);
  if (element === undefined) return undefined;
  const found = new Map<string, string>();
  for (const pair of splitOutsideQuotes(element, ";")) {
    const equals = pair.indexOf("=");
    if (equals < 0) return undefined;
    const key = pair.slice(0, equals).trim().toLowerCase();
    if (!found.has(key)) found.set(key, unquoted(pair.slice(equals + 1).trim()));
  }
  const identity = [found.get("uri"), found.get("dns"), found.get("subject")].find(
    (name) => name !== undefined && name !== "",
  );
  // The caller's own certificate is the first of its chain.
  const pem = found.get("cert") ?? found.get("chain");
  if (identity === undefined) return pem === undefined ? undefined : fromPem(pem);
  return { identity, pem };
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

function fromPem(header: string): ClientCertificate | undefined {
  try {
    // Of a chain the first is the caller's own.
    const [first = ""] = decodeURIComponent(header).split(/,|-----END CERTIFICATE-----/);
    const base64 = first.replace("-----BEGIN CERTIFICATE-----", "");
    const certificate = new X509Certificate(Buffer.from(base64, "base64"));
    const [uri] = alternativeNames(certificate, "URI");
    const [dns] = alternativeNames(certificate, "DNS");
    const identity = uri ?? dns ?? subjectText(certificate);
    return identity === undefined ? undefined : { identity, pem: certificate.toString() };
  } catch {
    return undefined;
  }
}
