import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ImportAdapter } from "./adapter-definition.ts";
import { isPath } from "./import-hint.ts";

/**
 * Imports a module by a path, or by a package's name as Node would find it from the folder. Node remembers for good what
 * it has imported, and what it failed to import; so a file that has changed since is imported by another URL.
 */
export const importAdapter: ImportAdapter = async (specifier, folder) => {
  const path = isPath(specifier) ? resolve(folder, specifier) : await findPackage(specifier, folder);
  const version = String((await stat(path).catch(() => undefined))?.mtimeMs ?? 0);
  const url = pathToFileURL(path);
  url.searchParams.set("version", version);
  return { exports: (await import(url.href)) as unknown, version };
};

async function findPackage(specifier: string, folder: string): Promise<string> {
  try {
    return createRequire(join(folder, "weir.yaml")).resolve(specifier);
  } catch (error) {
    // A package that is only there for `import` hides from `require`.
    if ((error as NodeJS.ErrnoException).code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    return importEntry(specifier, folder);
  }
}

/** The file that a package's `exports` names for `import`. */
async function importEntry(name: string, folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const root = join(at, "node_modules", name);
    const text = await readFile(join(root, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) {
      const { exports } = JSON.parse(text) as { exports?: unknown };
      const entry = conditionOf(
        typeof exports === "object" && exports !== null && "." in exports ? exports["."] : exports,
      );
      if (entry !== undefined) return resolve(root, entry);
    }
    if (dirname(at) === at) throw new Error(`the package has no entry for import`);
  }
}

function conditionOf(target: unknown): string | undefined {
  if (typeof target === "string") return target;
  if (typeof target !== "object" || target === null) return undefined;
  for (const [condition, next] of Object.entries(target))
    if (condition === "node" || condition === "import" || condition === "default") return conditionOf(next);
  return undefined;
}
