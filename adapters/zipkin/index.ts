import { defineAdapter, parseDuration, type Span } from "weir/sdk";
import { z } from "zod";
import { encodeSpan } from "./encode-span.ts";
import { send } from "./sender.ts";

const path = "/api/v2/spans";

/** The characters beyond which a request gets no more spans. */
const maxLength = 1024 * 1024;

const endpoint = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (plain && (url.protocol === "http:" || url.protocol === "https:")) return url;
  // The text is not shown: it may hold a password.
  context.addIssue({ code: "custom", message: "expected http://HOST[:PORT] or https://HOST[:PORT], or a whole URL" });
  return z.NEVER;
});

/** Those that are written by the adapter, or by what carries its requests. */
const ownHeaders = /^(connection|content-.*|host|keep-alive|te|trailer|transfer-encoding|upgrade|expect)$/i;

/** Sends spans to a Zipkin server, or to whatever else takes its format. */
export default defineAdapter({
  name: "zipkin",
  description: "traces to a Zipkin server, or whatever else takes its format",
  provides: ["spans"],
  config: z.strictObject({
    /** Where the server is. Without a path: that of Zipkin's API. */
    endpoint,
    /** Sent with every request. */
    headers: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/, "expected the name of a header field")
          .refine((name) => !ownHeaders.test(name), "is a header field that the adapter writes itself"),
        z.string().regex(/^[\x20-\x7e]+$/, "expected printable ASCII"),
      )
      .default({}),
    compression: z.enum(["gzip", "none"]).default("gzip"),
    /** How long one request may take. */
    timeout: z
      .string()
      .transform((text, context) => {
        const ms = parseDuration(text);
        if (ms !== undefined && ms >= 1 && ms <= 60_000) return ms;
        context.addIssue({ code: "custom", message: "expected a duration of 1ms to 1m, such as 10s" });
        return z.NEVER;
      })
      .prefault("10s"),
  }),
  create({ endpoint: given, headers, compression, timeout: timeoutMs }, host) {
    const url = new URL(given);
    if (url.pathname === "/") url.pathname = path;
    const options = { url, headers, compression, timeoutMs, now: () => host.now() };
    return {
      async spans(spans, { signal }) {
        for (let delivered = 0; delivered < spans.length;) {
          const { body, end } = encode(spans, delivered);
          const outcome = await send(body, signal, options);
          if (outcome.kind !== "taken") {
            const { kind, ...why } = outcome;
            return { delivered, retry: kind === "retry", ...why };
          }
          delivered = end;
        }
        return undefined;
      },
    };
  },
});

/** As many spans as one request holds, as a JSON list, and the index after the last. */
function encode(spans: readonly Span[], from: number): { readonly body: string; readonly end: number } {
  const texts: string[] = [];
  let end = from;
  for (let length = 0; end < spans.length && (end === from || length < maxLength); end++) {
    const text = encodeSpan(spans[end]!);
    texts.push(text);
    length += text.length;
  }
  return { body: `[${texts.join(",")}]`, end };
}
