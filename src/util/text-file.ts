import { lstat, open, stat } from "node:fs/promises";
import { TextDecoder } from "node:util";

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
    if (code === "ENOTDIR") return new Unreadable(whyUnreadable(error), "absent");
    if (code !== "ENOENT") return new Unreadable(whyUnreadable(error));
    const isLink = await lstat(path).catch(() => undefined);
    return isLink === undefined
      ? new Unreadable(whyUnreadable(error), "absent")
      : new Unreadable("its link leads nowhere");
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

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "its permissions do not allow it to be read",
  EPERM: "its permissions do not allow it to be read",
  ENOTDIR: "a file stands where a folder is expected",
  ELOOP: "its links lead in a circle",
  EISDIR: "a folder stands where a file is expected",
  ENAMETOOLONG: "its name is too long",
};

/** Why a file or folder could not be read, in words for people. */
export function whyUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? String(message ?? error);
}

/** Why a file or folder could not be made or written, in words for people. */
export function whyUnusable(error: unknown): string {
  return unusable[(error as NodeJS.ErrnoException).code ?? ""] ?? whyUnreadable(error);
}

const unusable: Readonly<Record<string, string>> = {
  EACCES: "its permissions do not allow it to be written",
  EPERM: "its permissions do not allow it to be written",
  EROFS: "it is on a disk that can only be read",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EEXIST: "a file stands where a folder is expected",
};
