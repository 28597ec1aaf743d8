import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { createSecureContext } from "node:tls";
import { readTextFile } from "../util/text-file.ts";
import type { TlsSettings } from "./settings.ts";

/** What a listener serves TLS with, read and found to fit together. PEM. */
export interface Certificates {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** When the first of the served certificates expires, in milliseconds since 1970. */
  readonly notAfterMs: number;
  /** The certificate that is served, without those that lead to its authority. */
  readonly leaf: X509Certificate;
}

/** What is wrong with a file, and by which key `weir.yaml` names it. */
export interface CertificateFlaw {
  readonly key: "cert" | "key" | "ca";
  readonly message: string;
  readonly hint?: string;
}

/** A file of every authority that there is takes a few hundred KiB. */
const maxFileBytes = 4 * 1024 * 1024;

/** Reads the files of a listener and sees whether TLS can be served with them. */
export async function readCertificates(
  tls: TlsSettings,
): Promise<Certificates | { readonly flaws: CertificateFlaw[] }> {
  const flaws: CertificateFlaw[] = [];
  const text = async (key: CertificateFlaw["key"], path: string): Promise<string | undefined> => {
    const read = await readTextFile(path, maxFileBytes);
    if (typeof read === "string") return read;
    flaws.push({ key, message: `${path} could not be read: ${read.message}` });
    return undefined;
  };
  const cert = await text("cert", tls.cert);
  const key = await text("key", tls.key);
  const ca = tls.ca === undefined ? undefined : await text("ca", tls.ca);

  const chain = cert === undefined ? undefined : certificatesIn(cert, "cert", flaws);
  if (ca !== undefined) certificatesIn(ca, "ca", flaws);
  const privateKey = key === undefined ? undefined : privateKeyIn(key, flaws);
  const leaf = chain?.[0];
  if (leaf !== undefined && privateKey !== undefined && !leaf.checkPrivateKey(privateKey)) {
    flaws.push({
      key: "key",
      message: "the key is not the one of the certificate",
      hint: "the certificate that is served comes first in its file, those that lead to its authority after it",
    });
  }
  if (flaws.length > 0 || leaf === undefined || key === undefined) return { flaws };
  try {
    createSecureContext({ cert: cert!, key, ca: ca ?? [], minVersion: minVersionOf(tls) });
  } catch (error) {
    return { flaws: [{ key: "cert", message: `TLS cannot be served with this: ${(error as Error).message}` }] };
  }
  const notAfterMs = Math.min(...chain!.map(({ validTo }) => Date.parse(validTo)));
  return { cert: cert!, key, ca, notAfterMs, leaf };
}

/** The version as Node calls it. */
export function minVersionOf({ minVersion }: TlsSettings): "TLSv1.2" | "TLSv1.3" {
  return `TLSv${minVersion}`;
}

/** The certificates of a PEM text, each as a text. */
export function certificateBlocks(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

function certificatesIn(pem: string, key: "cert" | "ca", flaws: CertificateFlaw[]): X509Certificate[] | undefined {
  const blocks = certificateBlocks(pem);
  if (blocks.length === 0) {
    const hint = pem.includes("PRIVATE KEY")
      ? "this file holds a private key"
      : "PEM begins with -----BEGIN CERTIFICATE-----";
    flaws.push({ key, message: "the file holds no PEM certificate", hint });
    return undefined;
  }
  const found: X509Certificate[] = [];
  for (const [i, block] of blocks.entries()) {
    try {
      found.push(new X509Certificate(block));
    } catch {
      flaws.push({ key, message: `certificate ${i + 1} of the file is broken` });
    }
  }
  return found.length === blocks.length ? found : undefined;
}

function privateKeyIn(pem: string, flaws: CertificateFlaw[]): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = (error as NodeJS.ErrnoException).code === "ERR_MISSING_PASSPHRASE";
    flaws.push({
      key: "key",
      message: encrypted
        ? "the key is encrypted, and nobody is there to give the passphrase"
        : "the file holds no PEM private key",
      ...(pem.includes("BEGIN CERTIFICATE") && { hint: "this file holds a certificate" }),
    });
    return undefined;
  }
}
