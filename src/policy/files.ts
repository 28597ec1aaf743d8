import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { whyUnreadable } from "../util/text-file.ts";
import { compareText } from "./problems.ts";

/** Folders within folders, and files in all: beyond them something else than policies was named. */
const maxDepth = 16;
const maxFiles = 100_000;

/** What a folder holds for a policy set. */
export interface Listing {
  /** Policy files, sorted by path. */
  readonly files: readonly string[];
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

/**
 * The policy files of a folder and the folders in it: `*.yaml` and `*.yml`, not `*.test.yaml`, and not `weir.yaml`,
 * which may lie among them. Names that begin with a dot are left out: editors put their files there, and a mounted
 * ConfigMap its copies. So is `except`, the configuration where it has another name.
 */
export async function listPolicyFiles(folder: string, except: string): Promise<Listing> {
  const files: string[] = [];
  const unreadable: { path: string; message: string }[] = [];
  const visited = new Set<string>();

  const visit = async (path: string, depth: number): Promise<void> => {
    if (depth > maxDepth) return void unreadable.push({ path, message: "folders are nested too deeply" });
    try {
      // Links to folders may lead in a circle.
      const real = await realpath(path);
      if (visited.has(real)) return;
      visited.add(real);
      const entries = await readdir(path, { withFileTypes: true });
      for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
        if (entry.name.startsWith(".")) continue;
        const child = join(path, entry.name);
        if (child === except) continue;
        if (isPolicyFile(entry.name)) {
          // What is called so and is no file is told when it is read.
          files.push(child);
          if (files.length > maxFiles)
            return void unreadable.push({ path, message: `it holds more than ${maxFiles} files` });
        } else if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(child)))) {
          await visit(child, depth + 1);
        }
      }
    } catch (error) {
      unreadable.push({ path, message: whyUnreadable(error) });
    }
  };
  await visit(folder, 0);
  return { files: files.sort(compareText), unreadable };
}

function isPolicyFile(name: string): boolean {
  return /\.ya?ml$/.test(name) && !/\.test\.ya?ml$/.test(name) && name !== "weir.yaml";
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
