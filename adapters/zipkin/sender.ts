import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { parseRetryAfter } from "weir/sdk";

const compress = promisify(gzip);

/** The most of an answer that is shown. */
const maxText = 300;

/** What became of one request. */
export type Outcome =
  | { readonly kind: "taken" }
  | {
      readonly kind: "retry" | "refused";
      readonly reason: string;
      readonly retryAfterMs?: number;
    };

export interface SenderOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Sends one list of spans. Never rejects: a server that is away, or too slow, may be asked again. */
export async function send(body: string, signal: AbortSignal, options: SenderOptions): Promise<Outcome> {
  const { url, headers, compression, timeoutMs, now } = options;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        ...(compression === "gzip" && { "content-encoding": "gzip" }),
      },
      body: compression === "gzip" ? await compress(body) : body,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const { status } = response;
    if (status >= 200 && status < 300) {
      await response.body?.cancel();
      return { kind: "taken" };
    }
    const reason = `the server answers HTTP ${status}${await saidBy(response)}`;
    if (status < 500 && status !== 429 && status !== 408) return { kind: "refused", reason };
    const retryAfterMs = parseRetryAfter(response.headers.get("retry-after") ?? undefined, now());
    return { kind: "retry", reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  } catch (error) {
    const { name, message, cause } = error as Error & { readonly cause?: Error };
    const why = name === "TimeoutError" ? `no answer within ${timeoutMs} ms` : cause?.message || message;
    return { kind: "retry", reason: why };
  }
}

/** What a server says of its refusal, in one line: no more than is shown is read of it. */
async function saidBy(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > maxText) break;
  }
  const line = text
    .replace(/\p{C}+/gu, " ")
    .trim()
    .slice(0, maxText);
  return line === "" ? "" : `: ${line}`;
}
