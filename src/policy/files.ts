import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { TextDecoder } from "node:util";
import { compareText } from "./problems.ts";

/** Folders within folders, and files in all: beyond them something else than policies was named. */
const maxDepth = 16;
const maxFiles = 100_000;

/** Why a file could not be read, in words for people. */
export class Unreadable {
  readonly message: string;
  /** Whether the file is not there, or too large. */
  readonly reason: "absent" | "too_large" | "other";

  constructor(message: string, reason: Unreadable["reason"] = "other") {
    this.message = message;
    this.reason = reason;
  }
}

/** Reads a file of UTF-8 text, without its byte order mark, of at most `limit` bytes. */
export async function readTextFile(path: string, limit: number): Promise<string | Unreadable> {
  try {
    // A pipe or a device would be read for ever.
    const found = await stat(path);
    if (found.isDirectory()) return new Unreadable("a folder stands where a file is expected");
    if (!found.isFile()) return new Unreadable("it is no regular file");
    if (found.size > limit) return new Unreadable(`the file is larger than ${limit} bytes`, "too_large");
    const file = await open(path);
    try {
      const bytes = Buffer.alloc(found.size + 1);
      let length = 0;
      while (length < bytes.length) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      if (length > found.size) return new Unreadable("the file grew while it was read");
      return decode(bytes.subarray(0, length));
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") return new Unreadable(explain(error), "absent");
    if (code !== "ENOENT") return new Unreadable(explain(error));
    const isLink = await lstat(path).catch(() => undefined);
    return isLink === undefined ? new Unreadable(explain(error), "absent") : new Unreadable("its link leads nowhere");
  }
}

function decode(bytes: Uint8Array): string | Unreadable {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const before = new TextDecoder().decode(bytes).split("\ufffd")[0]!;
    return new Unreadable(`it is not UTF-8 text (line ${before.split("\n").length})`);
  }
}

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
      unreadable.push({ path, message: explain(error) });
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

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "its permissions do not allow it to be read",
  EPERM: "its permissions do not allow it to be read",
  ENOTDIR: "a file stands where a folder is expected",
  ELOOP: "its links lead in a circle",
  EISDIR: "a folder stands where a file is expected",
  ENAMETOOLONG: "its name is too long",
};

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? String(message ?? error);
}
