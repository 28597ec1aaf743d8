import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import ipaddr from "ipaddr.js";

/** A certificate authority of a test, and what it signs. */
export interface Authority {
  /** Its own certificate, PEM. */
  readonly cert: string;
  /** Signs a certificate with a key of its own; good for servers and for clients alike. */
  issue(request?: CertificateRequest): KeyedCertificate;
  /** Makes an authority below this one. What it issues brings its certificate along. */
  intermediate(name: string): Authority;
}

export interface CertificateRequest {
  /** Common name. Default "test". */
  readonly name?: string;
  /** URI SANs, such as `spiffe://mesh.example/ns/shop/sa/web`. */
  readonly uris?: readonly string[];
  /** DNS SANs. Default: `localhost` where nothing else is said. */
  readonly dns?: readonly string[];
  /** IP SANs. Default: `127.0.0.1` where nothing else is said. */
  readonly ips?: readonly string[];
  /** Default: an hour ago. */
  readonly notBefore?: Date;
  /** Default: in a day. An hour ago makes one that has expired. */
  readonly notAfter?: Date;
}

export interface KeyedCertificate {
  /** The certificate, and that of an intermediate authority after it, PEM. */
  readonly cert: string;
  /** PKCS #8, PEM. */
  readonly key: string;
}

const hourMs = 3_600_000;

/** Makes a certificate authority with P-256 keys. Nothing is written to disk, and no program is needed. */
export function createAuthority(name = "test authority"): Authority {
  const keys = keyPair();
  const cert = certificate({ name, subject: keys, issuer: name, signer: keys, isAuthority: true });
  return authority(name, keys, cert, "");
}

/** An hour before or after now, for certificates that are or are not in force. */
export const hourAgo = (): Date => new Date(Date.now() - hourMs);
export const inAnHour = (): Date => new Date(Date.now() + hourMs);

function authority(issuer: string, signer: KeyPair, cert: string, chain: string): Authority {
  return {
    cert,
    issue(request = {}) {
      const { name = "test", uris, dns, ips } = request;
      const plain = uris === undefined && dns === undefined && ips === undefined;
      const names = plain ? { dns: ["localhost"], ips: ["127.0.0.1"] } : request;
      const keys = keyPair();
      const own = certificate({ ...request, ...names, name, subject: keys, issuer, signer, isAuthority: false });
      return { cert: own + chain, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
    },
    intermediate(name) {
      const keys = keyPair();
      const own = certificate({ name, subject: keys, issuer, signer, isAuthority: true });
      return authority(name, keys, own, own + chain);
    },
  };
}

type KeyPair = ReturnType<typeof keyPair>;

function keyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

interface Signing extends CertificateRequest {
  readonly name: string;
  readonly subject: KeyPair;
  readonly issuer: string;
  readonly signer: KeyPair;
  readonly isAuthority: boolean;
}

/** An X.509 v3 certificate (RFC 5280, 4.1), ECDSA with SHA-256. */
function certificate(signing: Signing): string {
  const { name, subject, issuer, signer, isAuthority, uris = [], dns = [], ips = [] } = signing;
  const { notBefore = hourAgo(), notAfter = new Date(Date.now() + 24 * hourMs) } = signing;
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  const alternatives = [
    ...uris.map((uri) => der(0x86, Buffer.from(uri))),
    ...dns.map((host) => der(0x82, Buffer.from(host))),
    ...ips.map((ip) => der(0x87, Buffer.from(ipaddr.parse(ip).toByteArray()))),
  ];
  const extensions = [
    extension("2.5.29.19", true, sequence(...(isAuthority ? [der(0x01, Buffer.from([0xff]))] : []))),
    // keyCertSign and cRLSign, or digitalSignature.
    extension("2.5.29.15", true, der(0x03, Buffer.from(isAuthority ? [1, 0x06] : [7, 0x80]))),
    ...(isAuthority
      ? []
      : [extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")))]),
    extension("2.5.29.14", false, der(0x04, keyId(subject))),
    extension("2.5.29.35", false, sequence(der(0x80, keyId(signer)))),
    ...(alternatives.length === 0 ? [] : [extension("2.5.29.17", false, sequence(...alternatives))]),
  ];
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    distinguishedName(issuer),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(name),
    publicBytes(subject),
    der(0xa3, sequence(...extensions)),
  );
  const bytes = sequence(body, algorithm, bitString(sign("sha256", body, signer.privateKey)));
  const lines = bytes.toString("base64").match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function publicBytes({ publicKey }: KeyPair): Buffer {
  return publicKey.export({ type: "spki", format: "der" });
}

/** What names a key in the certificates that it is in, and that it signed. */
function keyId(keys: KeyPair): Buffer {
  return createHash("sha1").update(publicBytes(keys)).digest();
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(commonName)))));
}

/** GeneralizedTime from 2050 on, UTCTime before (RFC 5280, 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  return date.getUTCFullYear() >= 2050 ? der(0x18, Buffer.from(digits)) : der(0x17, Buffer.from(digits.slice(2)));
}

function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split(".").map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

function bitString(bytes: Uint8Array): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

/** Tag, length, value (X.690). */
function der(tag: number, value: Uint8Array): Buffer {
  const { length } = value;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), value]);
}
