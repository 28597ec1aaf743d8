import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";

/** A secret as a configuration gives it: itself, or the file that holds it. */
export type Secret = string | { readonly file: string };

/** A secret in place, or `{ file: PATH }` for one that lies in a file, which {@link readSecret} reads. */
export const secretOrFile = z.union([z.string().min(1), z.strictObject({ file: z.string().min(1) })], {
  error: "expected a text, or { file: PATH }",
});

/**
 * The secret itself. The end of a file's line is not part of it. Relative paths are meant from `folder`. Rejects when
 * the file cannot be read or is empty, and shows nothing of what it holds.
 */
export async function readSecret(secret: Secret, folder: string): Promise<string> {
  if (typeof secret === "string") return secret;
  const text = (await readFile(resolve(folder, secret.file), "utf8")).replace(/\r?\n$/, "");
  if (text === "") throw new Error(`${secret.file}: expected a secret, the file is empty`);
  return text;
}
