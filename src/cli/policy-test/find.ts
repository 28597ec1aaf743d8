import { readdir, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { listPolicyFiles } from "../../policy/files.ts";

/** Whether a name is a test file's. */
function isTestFile(name: string): boolean {
  return /\.test\.ya?ml$/.test(name);
}

/** The deepest folder looked into. */
const maxDepth = 32;

/** The test files that paths name: a file is one whatever it is called, a folder stands for those in it. Sorted, absolute. Rejects when there is no such path. */
export async function findTestFiles(paths: readonly string[], cwd: string): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      if (entry.isDirectory() && depth < maxDepth) await visit(path, depth + 1);
      else if (isTestFile(entry.name)) found.add(path);
    }
  };
  for (const named of paths) {
    const path = resolve(cwd, named);
    const there = await stat(path).catch(() => undefined);
    if (there === undefined) throw new Error(`there is no file or folder ${named}`);
    if (there.isDirectory()) await visit(path, 0);
    else found.add(path);
  }
  return [...found].sort();
}

/** The nearest `weir.yaml` from a folder upward, or `undefined`. */
export async function findConfig(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, "weir.yaml");
    if (await isFile(path)) return path;
    if (dirname(at) === at) return undefined;
  }
}

/** The policy files behind a path: the file itself, or those of a folder. `except` is `weir.yaml`. */
export async function findPolicies(path: string, except: string | undefined): Promise<readonly string[]> {
  if (await isFile(path)) return [path];
  const { files, unreadable } = await listPolicyFiles(path, except ?? "");
  const [first] = unreadable;
  if (first !== undefined) throw new Error(`${first.path}: ${first.message}`);
  return files;
}

/** A path as people are shown it: as seen from where they are, unless it is elsewhere. */
export function shownPath(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === "" || near.startsWith("..") || isAbsolute(near) ? path : near;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
