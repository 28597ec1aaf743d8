import { createHash, randomBytes } from "node:crypto";

/** How each side proves to the other that it has the shared key (Forward protocol v1, "Handshake Messages"). */
export interface Credentials {
  /** What the hub calls itself. */
  readonly hostname: string;
  readonly sharedKey: string;
  readonly user?: { readonly name: string; readonly password: string };
}

/** What a server says first where it asks for a shared key. */
export interface Helo {
  readonly nonce: Uint8Array;
  /** Salt of the password; empty where no user is asked for. */
  readonly auth: Uint8Array;
}

/** Reads a HELO; `undefined` when the message is none. Texts are bytes: servers send salts as either. */
export function readHelo(message: unknown): Helo | undefined {
  if (!Array.isArray(message) || textOf(message[0]) !== "HELO") return undefined;
  const { nonce, auth } = (message[1] ?? {}) as Readonly<Record<string, unknown>>;
  return {
    nonce: nonce instanceof Uint8Array ? nonce : new Uint8Array(),
    auth: auth instanceof Uint8Array ? auth : new Uint8Array(),
  };
}

/** The PING that answers a HELO, and what reads the PONG. Throws when the server asks for a user and there is none. */
export function createPing({ nonce, auth }: Helo, { hostname, sharedKey, user }: Credentials) {
  if (auth.length > 0 && user === undefined) throw new Error("the server asks for a user and a password");
  // As hexadecimal, so that a server may read it as text or as bytes.
  const salt = randomBytes(16).toString("hex");
  const named = auth.length > 0 ? user : undefined;
  const ping = [
    "PING",
    hostname,
    salt,
    sha512(salt, hostname, nonce, sharedKey),
    named?.name ?? "",
    named === undefined ? "" : sha512(auth, named.name, named.password),
  ];
  return {
    ping,
    /** Throws when the message is no PONG, or one that refuses, or of a server that does not have the shared key. */
    checkPong(message: unknown): void {
      if (!Array.isArray(message) || textOf(message[0]) !== "PONG") throw new Error("the server answers with no PONG");
      const [, accepted, reason, server, digest] = message as unknown[];
      if (accepted !== true) throw new Error(`the server refuses the hub: ${textOf(reason)}`);
      if (textOf(digest) !== sha512(salt, textOf(server), nonce, sharedKey)) {
        throw new Error("the server does not have the shared key");
      }
    },
  };
}

/** The longest text of a server that is used. */
const maxText = 300;

/** A text that a server wrote, of one line and not too long. */
export function textOf(value: unknown): string {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString() : "";
  return text.replace(/\p{C}+/gu, " ").slice(0, maxText);
}

function sha512(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
