import { X509Certificate } from "node:crypto";
import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Value } from "../../attributes/value.ts";

type Fields = Readonly<Record<string, Value | undefined>>;

const fieldsOf: Readonly<Record<string, (certificate: X509Certificate) => Value | undefined>> = {
  "source.certificate.subject": subjectText,
  "source.certificate.issuer": ({ issuer }) => nameText(issuer),
  "source.certificate.serial": ({ serialNumber }) => serialNumber.toLowerCase(),
  "source.certificate.fingerprint": ({ fingerprint256 }) => fingerprint256.replaceAll(":", "").toLowerCase(),
  "source.certificate.uris": (certificate) => joined(alternativeNames(certificate, "URI")),
  "source.certificate.dns_names": (certificate) => joined(alternativeNames(certificate, "DNS")),
  "source.certificate.not_before": ({ validFrom }) => Timestamp.fromMs(Date.parse(validFrom)),
  "source.certificate.not_after": ({ validTo }) => Timestamp.fromMs(Date.parse(validTo)),
};

/** The attributes that a certificate tells. */
export const certificateAttributes = Object.keys(fieldsOf);

/** How many certificates are remembered: reading one takes longer than judging a request. */
const maxKnown = 256;
/** A longer one is read anew each time. Certificates take 1 to 3 KiB. */
const maxKnownLength = 16 * 1024;

/** Reads certificates as Envoy sends them: PEM, percent-encoded. Remembers those of late. */
export class Certificates {
  readonly #known = new Map<string, Fields | Fault>();

  /** Puts what a certificate tells into a bag; a text that is no certificate is a fault of each of them. */
  set(bag: Bag, text: string): void {
    const fields = this.#read(text);
    for (const name of certificateAttributes) {
      const slot = bag.layout.find(name);
      if (slot !== undefined) bag.set(slot, fields instanceof Fault ? fields : fields[name]);
    }
  }

  #read(text: string): Fields | Fault {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const read = readCertificate(text);
    if (text.length > maxKnownLength) return read;
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(text, read);
    return read;
  }
}

function readCertificate(text: string): Fields | Fault {
  try {
    const certificate = new X509Certificate(decodeURIComponent(text));
    return Object.fromEntries(Object.entries(fieldsOf).map(([name, read]) => [name, read(certificate)]));
  } catch {
    return new Fault("the certificate of the client cannot be read");
  }
}

/** A distinguished name in the order of RFC 4514: `CN=ann,O=acme`. Node has its parts in lines, the most general first. */
function nameText(lines: string | undefined): string | undefined {
  return lines === undefined || lines === "" ? undefined : lines.split("\n").reverse().join(",");
}

/** Who a certificate is for, as its subject has it; absent when that is empty. */
export function subjectText({ subject }: X509Certificate): string | undefined {
  return nameText(subject);
}

/** The alternative names of a kind, `URI` or `DNS`. */
export function alternativeNames({ subjectAltName }: X509Certificate, kind: string): readonly string[] {
  const names: string[] = [];
  // A name that holds a comma or a quote is written as a JSON string.
  for (const [, type, name] of (subjectAltName ?? "").matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    if (type === kind) names.push(name!.startsWith('"') ? (JSON.parse(name!) as string) : name!);
  }
  return names;
}

function joined(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : names.join(",");
}
