import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { relative, sep } from "node:path";
import { z } from "zod";
import { readTextFile, Unreadable } from "../../util/text-file.ts";
import { ContentHash } from "../canonical.ts";
import type { PolicyFile } from "../compile.ts";
import { listPolicyFiles } from "../files.ts";

/** All files of a policy set, as they are pushed. */
export interface PushedSet {
  /** Made of the files and nothing else: the same on every hub. */
  readonly version: string;
  /** By paths as seen from their folder, sorted. */
  readonly files: readonly PolicyFile[];
}

/** The most that the files of a set are together, in bytes, before they are compressed. */
export const maxSetBytes = 64 * 1024 * 1024;

/** As policy files are called; where they lay means nothing on a hub. */
const path = z
  .string()
  .max(1024)
  .regex(/^(?!weir:)[^/\p{Cc}][^\p{Cc}]*\.ya?ml$/u);

const shape = z.strictObject({ files: z.array(z.strictObject({ path, text: z.string() })).max(100_000) });

export function setOf(files: readonly PolicyFile[]): PushedSet {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const hash = new ContentHash();
  for (const file of sorted) hash.add(file.path).add(file.text);
  return { version: hash.digest(), files: sorted };
}

/** Reads the policy files of a folder, without the file `except`. */
export async function readFolder(folder: string, except: string): Promise<PushedSet | Unreadable> {
  const { files, unreadable } = await listPolicyFiles(folder, except);
  if (unreadable.length > 0) return new Unreadable(`${unreadable[0]!.path}: ${unreadable[0]!.message}`);
  const read: PolicyFile[] = [];
  let bytes = 0;
  for (const file of files) {
    const text = await readTextFile(file, maxSetBytes);
    if (text instanceof Unreadable) return new Unreadable(`${file}: ${text.message}`);
    if ((bytes += text.length) > maxSetBytes) return new Unreadable(`the files are more than ${maxSetBytes} bytes`);
    const name = relative(folder, file).split(sep).join("/");
    if (!path.safeParse(name).success) return new Unreadable(`${file}: a file of this name cannot be pushed`);
    read.push({ path: name, text });
  }
  return setOf(read);
}

/** A set as one value. */
export async function encodeSet({ files }: PushedSet): Promise<Uint8Array> {
  return promisify(gzip)(JSON.stringify({ files: files.map(({ path, text }) => ({ path, text })) }));
}

/** Reads what {@link encodeSet} wrote. Answers why it cannot be, also when it is not the version that it is said to be. */
export async function decodeSet(bytes: Uint8Array, version?: string): Promise<PushedSet | Unreadable> {
  try {
    // As JSON a text may be longer by its escapes.
    const text = await promisify(gunzip)(bytes, { maxOutputLength: 2 * maxSetBytes });
    const set = setOf(shape.parse(JSON.parse(text.toString("utf8"))).files);
    if (version === undefined || set.version === version) return set;
    return new Unreadable(`the set that is stored as ${version} is ${set.version}`);
  } catch {
    return new Unreadable("what is stored is no policy set");
  }
}
