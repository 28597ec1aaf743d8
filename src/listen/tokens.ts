import { createHash, timingSafeEqual } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { readTextFile, whyUnreadable } from "../util/text-file.ts";

/** Who may use the admin listener: the SHA-256 of each person's token. */
export interface Tokens {
  readonly people: readonly { readonly name: string; readonly hash: Buffer }[];
  /** What was wrong. A file that cannot be used lets nobody in; the others are as good as they were. */
  readonly flaws: readonly TokenFlaw[];
}

export interface TokenFlaw {
  readonly path: string;
  readonly message: string;
}

const maxTokens = 1000;
const maxTokenBytes = 4096;
/** Fewer characters can be guessed. */
const minLength = 16;

/**
 * Reads bearer tokens. A path is a file, or a folder of files whose names do not begin with a dot (as a mounted Secret
 * has them beside its own). A file is called as the person is, and holds the token or `sha256:` and the token's hash in
 * hexadecimal digits.
 */
export async function readTokens(paths: readonly string[]): Promise<Tokens> {
  const people: { name: string; hash: Buffer }[] = [];
  const flaws: TokenFlaw[] = [];
  for (const path of await filesOf(paths, flaws)) {
    if (people.length === maxTokens) {
      flaws.push({ path, message: `there are more than ${maxTokens} tokens; this and the next are not read` });
      break;
    }
    const name = basename(path);
    const text = await readTextFile(path, maxTokenBytes);
    const hash = typeof text === "string" ? hashIn(text.trim()) : text.message;
    const namesake = people.find((person) => person.name === name);
    const twin = Buffer.isBuffer(hash) ? people.find((person) => person.hash.equals(hash)) : undefined;
    if (typeof hash === "string") flaws.push({ path, message: hash });
    else if (!/^[\w.@+-]{1,64}$/.test(name)) {
      flaws.push({ path, message: "a person's name is made of letters, digits and . _ - @ +, 64 at most" });
    } else if (namesake !== undefined) flaws.push({ path, message: `there is a token of ${name} already` });
    else if (twin !== undefined) flaws.push({ path, message: `this is the token of ${twin.name} too` });
    else people.push({ name, hash });
  }
  return { people, flaws };
}

async function filesOf(paths: readonly string[], flaws: TokenFlaw[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    try {
      if (!(await stat(path)).isDirectory()) files.push(path);
      else {
        const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
        files.push(...names.map((name) => join(path, name)));
      }
    } catch (error) {
      flaws.push({ path, message: `it could not be read: ${whyUnreadable(error)}` });
    }
  }
  return files;
}

/** The hash of the token that a file holds, or what is wrong with it. */
function hashIn(text: string): Buffer | string {
  if (text.startsWith("sha256:")) {
    const digits = text.slice("sha256:".length);
    return /^[0-9a-fA-F]{64}$/.test(digits)
      ? Buffer.from(digits, "hex")
      : "sha256: is followed by 64 hexadecimal digits";
  }
  if (text.length < minLength) return `a token has ${minLength} characters or more; openssl rand -hex 32 makes one`;
  // RFC 6750, 2.1: b64token.
  return /^[\w.~+/-]+=*$/.test(text) ? sha256(text) : "a token is one word of letters, digits and - . _ ~ + /";
}

/** Whose token an `Authorization` header holds (RFC 6750, 2.1). Takes the same time whoever it is, and when nobody. */
export function personOf(authorization: string | undefined, people: Tokens["people"]): string | undefined {
  const [, token] = /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization ?? "") ?? [];
  if (token === undefined || token.length > maxTokenBytes) return undefined;
  const hash = sha256(token);
  let found: string | undefined;
  for (const person of people) if (timingSafeEqual(person.hash, hash)) found = person.name;
  return found;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
