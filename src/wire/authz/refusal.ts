import { WeirError } from "../../util/weir-error.ts";
import type { HttpAnswer } from "../http/route.ts";
import { headerText } from "./header-text.ts";

/** The answer to the caller in place of the service's. Text, not bytes. */
export interface Refusal {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** The most characters of a refusal that travel in a header: nginx reads the hub's head into one buffer. */
const maxTokenLength = 8 * 1024;

/**
 * A refusal as text for a header. nginx's auth_request throws away the body of a refusal and takes no status but 401
 * and 403: its configuration sends this text back to the hub, which answers what it says. `undefined` when the refusal
 * is too long.
 */
export function refusalToken(refusal: Refusal): string | undefined {
  const token = Buffer.from(JSON.stringify([refusal.status, refusal.headers, refusal.body])).toString("base64url");
  return token.length <= maxTokenLength ? token : undefined;
}

/** Reads what {@link refusalToken} wrote. Throws WEIR_REQUEST_MALFORMED for anything else. */
export function readRefusalToken(token: string): Refusal {
  try {
    const json: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    const [status, headers, body] = json as [unknown, unknown, unknown];
    if (Number.isInteger(status) && isHeaders(headers) && typeof body === "string") {
      return { status: status as number, headers, body };
    }
  } catch {
    // Said below.
  }
  throw new WeirError("WEIR_REQUEST_MALFORMED", "this is no refusal that the hub has written");
}

function isHeaders(json: unknown): json is [string, string][] {
  const isText = (each: unknown) => typeof each === "string";
  return Array.isArray(json) && json.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}

/**
 * A refusal as an HTTP answer. `dropped` is told of each header whose name or value must not be written, which is left
 * out. A status that is no final one of HTTP becomes 403.
 */
export function refusalAnswer({ status, headers, body }: Refusal, dropped: () => void): HttpAnswer {
  const lines = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const text = isHeaderName(name) ? headerText(value) : undefined;
    if (text === undefined) dropped();
    else lines.set(name.toLowerCase(), [...(lines.get(name.toLowerCase()) ?? []), text]);
  }
  if (!lines.has("content-type") && body !== "") lines.set("content-type", ["text/plain; charset=utf-8"]);
  return { status: status >= 200 && status <= 599 ? status : 403, headers: Object.fromEntries(lines), body };
}

/** Whether it is the name of a header (RFC 9110, 5.6.2) that does not say how the message is carried. */
function isHeaderName(name: string): boolean {
  return (
    /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) &&
    !/^(?:connection|content-length|keep-alive|trailer|transfer-encoding|upgrade)$/i.test(name)
  );
}
