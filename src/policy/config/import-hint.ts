import { access } from "node:fs/promises";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Where this program's own modules lie: what failed there is told by the module that asked. */
const ours = new URL("../../..", import.meta.url).href;

/** What helps whoever wrote or named an adapter's module that could not be imported; `undefined` where nothing is known. */
export async function importHint(error: unknown, specifier: string, folder: string): Promise<string | undefined> {
  const { code, message = "", stack = "" } = (error ?? {}) as { code?: unknown; message?: string; stack?: string };
  const path = resolve(folder, specifier);
  if (code === "MODULE_NOT_FOUND" || code === "ERR_MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_DIR_IMPORT") {
    const wanted = /^Cannot find package '([^']+)' imported from (.+)/s.exec(message);
    if (wanted !== null)
      return `${shown(wanted[2]!, folder)} finds packages in a folder node_modules beside it or above: npm install ${wanted[1]} there`;
    const near = isPath(specifier)
      ? [`${specifier}.js`, `${specifier}.mjs`, `${specifier}/index.js`, specifier.replace(/\.ts$/, ".js")]
      : [`./${specifier}`, `./${specifier}.js`];
    for (const each of near)
      if (each !== specifier && (await isThere(resolve(folder, each)))) return `did you mean ${each}?`;
    return undefined;
  }
  if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[cm]?tsx?$/.test(path))
    return "this Node runs JavaScript: compile it, and name what comes out";
  const place = placeIn(stack, folder);
  if (place !== undefined) return `at ${place}`;
  return error instanceof SyntaxError && isPath(specifier) ? `node ${path} shows where` : undefined;
}

export function isPath(specifier: string): boolean {
  return /^\.{0,2}\//.test(specifier);
}

/** The first place of a stack that is neither Node's nor ours. Imports have `?version=` behind the path. */
function placeIn(stack: string, folder: string): string | undefined {
  for (const [, url, line] of stack.matchAll(/(file:\/\/[^\s()?:]+)(?:\?[^\s():]*)?:(\d+)/g))
    if (!url!.startsWith(ours)) return `${shown(fileURLToPath(url!), folder)}:${line}`;
  return undefined;
}

/** A path as seen from the folder of weir.yaml, where it lies below it. */
function shown(path: string, folder: string): string {
  const below = relative(folder, path);
  return below.startsWith("..") ? path : `./${below}`;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
