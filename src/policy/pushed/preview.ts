import type { PolicyStore } from "../../sdk/index.ts";
import { Unreadable } from "../../util/text-file.ts";
import { decodeCurrent } from "./current.ts";
import { bytesFor } from "./pushing.ts";
import { decodeSet, type PushedSet } from "./pushed-set.ts";

/** What a push would change. */
export interface Preview {
  /** The version that holds now; `undefined`: nothing was pushed yet. */
  readonly holds: string | undefined;
  /** Files that are not the same in what holds, by their paths. */
  readonly files: readonly { readonly path: string; readonly change: "added" | "changed" | "removed" }[];
}

/** Compares a set with the one that holds, and changes nothing. Throws WEIR_PUSH where the store could not take it. */
export async function preview(store: PolicyStore, set: PushedSet): Promise<Preview> {
  await bytesFor(store, set);
  const found = await store.current();
  const holds = found && decodeCurrent(found.bytes).version;
  const bytes = holds === undefined ? undefined : await store.set(holds);
  // What holds may be broken; all files are new then.
  const held = bytes === undefined ? undefined : await decodeSet(bytes, holds);
  const texts = new Map(
    held === undefined || held instanceof Unreadable ? [] : held.files.map(({ path, text }) => [path, text]),
  );
  const files: { path: string; change: "added" | "changed" | "removed" }[] = [];
  for (const { path, text } of set.files) {
    const before = texts.get(path);
    texts.delete(path);
    if (before !== text) files.push({ path, change: before === undefined ? "added" : "changed" });
  }
  for (const path of texts.keys()) files.push({ path, change: "removed" });
  return { holds, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}
