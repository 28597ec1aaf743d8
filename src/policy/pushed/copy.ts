import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Unreadable, whyUnreadable } from "../../util/text-file.ts";
import { decodeSet, encodeSet, maxSetBytes, type PushedSet } from "./pushed-set.ts";

/** Reads the copy of the last set that served; `undefined` when there is none. */
export async function readCopy(path: string): Promise<PushedSet | Unreadable | undefined> {
  try {
    if ((await stat(path)).size > maxSetBytes) return new Unreadable("it is too large for a copy of a policy set");
    return await decodeSet(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return new Unreadable(whyUnreadable(error));
  }
}

/** Writes the copy; whoever is stopped half-way leaves the one before. */
export async function writeCopy(path: string, set: PushedSet): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(await encodeSet(set));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
