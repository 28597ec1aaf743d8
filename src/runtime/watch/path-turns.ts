import { readlink } from "node:fs/promises";
import { join, parse, resolve, sep } from "node:path";

/** As many symlinks as Linux follows on one way. */
const maxLinks = 40;

/**
 * Where paths can come to mean something else: the folders that they stand in, and those of the symlinks on their way, each
 * with the names that this depends on. Of a path that is not there, the last folder of its way that is.
 */
export async function turnsOf(paths: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const turns = new Map<string, Set<string>>();
  for (const path of paths) {
    const { root } = parse(resolve(path));
    let at = root;
    let links = 0;
    const left = resolve(path).slice(root.length).split(sep);
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (name === "" || name === ".") continue;
      const next = join(at, name);
      const target = await readlink(next).catch((error: NodeJS.ErrnoException) => error);
      const isGone = target instanceof Error && (target.code === "ENOENT" || target.code === "ENOTDIR");
      const isLink = typeof target === "string";
      if (isLink || isGone || left.length === 0) turns.set(at, (turns.get(at) ?? new Set()).add(name));
      if (isGone || (isLink && ++links > maxLinks)) break;
      if (!isLink) at = next;
      else {
        const from = resolve(at, target);
        at = parse(from).root;
        left.unshift(...from.slice(at.length).split(sep));
      }
    }
  }
  return turns;
}
