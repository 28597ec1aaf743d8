import { z } from "zod";
import { readSecret, secretOrFile, type Secret } from "./secret.ts";

/** The URL of a server of HTTP. A user, a query or a fragment is refused: what proves who the hub is goes into headers. */
export const httpUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (plain && (url.protocol === "http:" || url.protocol === "https:")) return url;
  // The text is not shown: it may hold a password.
  const message = "expected http://HOST[:PORT] or https://HOST[:PORT]; what proves who the hub is goes into headers";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

/** Header fields that whatever carries a request writes by itself (RFC 9110, 7.6.1 and 8). */
const carried = /^(connection|content-.*|host|keep-alive|te|trailer|transfer-encoding|upgrade|expect)$/i;

/** What the value of a header field may be here: printable ASCII, of what RFC 9110, 5.5 lets it be. */
const headerText = /^[\x20-\x7e]+$/;

/**
 * Header fields to be sent with every request, each value a text or `{ file: PATH }`. Fields that belong to the
 * transport are refused, and so are those that `own` matches: the adapter writes them itself.
 */
export function httpHeaders(own?: RegExp) {
  const name = z
    .string()
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/, "expected the name of a header field")
    .refine(
      (text) => !carried.test(text) && own?.test(text) !== true,
      "is a header field that the adapter writes itself",
    );
  const value = secretOrFile.refine(
    (given) => typeof given !== "string" || headerText.test(given),
    "expected printable ASCII",
  );
  return z.record(name, value).default({});
}

/** The header fields with the values that lie in files. Rejects when one cannot be read, or holds what no field may. */
export async function readHeaders(
  headers: Readonly<Record<string, Secret>>,
  folder: string,
): Promise<Record<string, string>> {
  const read: Record<string, string> = {};
  for (const [name, given] of Object.entries(headers)) {
    const value = await readSecret(given, folder);
    // The text is not shown: it is a secret.
    if (!headerText.test(value))
      throw new Error(
        `${typeof given === "string" ? name : given.file}: expected one line of printable ASCII for header ${name}`,
      );
    read[name] = value;
  }
  return read;
}
