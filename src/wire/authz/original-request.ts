import { WeirError } from "../../util/weir-error.ts";
import type { HttpRequest } from "../http/route.ts";
import type { Dialect } from "./dialect.ts";

/** What the proxy's caller asked for, as the proxy says. Text as it came: bytes as characters (latin1). */
export interface OriginalRequest {
  readonly method: string;
  /** Path and query; begins with `/`, or is `*`. */
  readonly uri: string;
  readonly host?: string | undefined;
  readonly scheme?: string | undefined;
  /** Hops with commas between them, the nearest last. */
  readonly address?: string | undefined;
  readonly id?: string | undefined;
  /** The caller's headers, names in lower case; repetitions in one, with commas (`cookie`: semicolons) between them. */
  readonly headers: ReadonlyMap<string, string>;
}

type Part = keyof Dialect["headers"];

/** Reads the original request from what a proxy sends. */
export type ReadOriginal = (request: HttpRequest, uri: string) => OriginalRequest;

/**
 * Makes the reader of a proxy's requests. It throws WEIR_REQUEST_MALFORMED where the proxy does not say what was asked
 * for, or says it twice: a proxy writes its headers over the caller's, so that one was not written by it.
 */
export function originalReader({ headers: { ...named }, own }: Dialect): ReadOriginal {
  const parts = new Map(Object.entries(named).map(([part, header]) => [header, part as Part]));
  const owned = new Set(own);
  return ({ method: asked, rawHeaders }, below) => {
    const said: Partial<Record<Part, string>> = {};
    const headers = new Map<string, string>();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase();
      const value = rawHeaders[i + 1]!;
      const part = parts.get(name);
      if (part !== undefined) {
        const before = said[part];
        if (before === undefined) said[part] = value;
        else if (part === "address") said[part] = `${before},${value}`;
        else throw malformed(`the header ${name} came twice`);
      } else if (!owned.has(name)) {
        const before = headers.get(name);
        headers.set(name, before === undefined ? value : `${before}${name === "cookie" ? "; " : ","}${value}`);
      }
    }
    const method = named.method === undefined ? asked : said.method;
    const uri = named.uri === undefined ? below : said.uri;
    if (method === undefined || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/.test(method)) {
      throw malformed(`the proxy did not say the method: expected one in ${named.method ?? "the request"}`);
    }
    if (uri === undefined || !(uri.startsWith("/") || uri === "*")) {
      throw malformed(`the proxy did not say the path: expected it in ${named.uri ?? "the path of the request"}`);
    }
    const { host, scheme, address, id } = said;
    return { method, uri, host, scheme, address, id, headers };
  };
}

function malformed(message: string): WeirError {
  return new WeirError("WEIR_REQUEST_MALFORMED", message);
}
