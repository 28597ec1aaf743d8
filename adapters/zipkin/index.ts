import { defineAdapter, type Span } from "weir/sdk";
import { duration, httpHeaders, httpUrl, readHeaders } from "weir/sdk/zod";
import { z } from "zod";
import { encodeSpan } from "./encode-span.ts";
import { send } from "./sender.ts";

const path = "/api/v2/spans";

/** The characters beyond which a request gets no more spans. */
const maxLength = 1024 * 1024;

/** Sends spans to a Zipkin server, or to whatever else takes its format. */
export default defineAdapter({
  name: "zipkin",
  description: "traces to a Zipkin server, or whatever else takes its format",
  provides: ["spans"],
  config: z.strictObject({
    /** Where the server is. Without a path: that of Zipkin's API. */
    endpoint: httpUrl,
    /** Sent with every request. A value may lie in a file, which is read when the adapter is made. */
    headers: httpHeaders(),
    compression: z.enum(["gzip", "none"]).default("gzip"),
    /** How long one request may take. */
    timeout: duration(1, 60_000).prefault("10s"),
  }),
  async create({ endpoint: given, headers, compression, timeout: timeoutMs }, host) {
    const url = new URL(given);
    if (url.pathname === "/") url.pathname = path;
    const options = {
      url,
      headers: await readHeaders(headers, host.folder),
      compression,
      timeoutMs,
      now: () => host.now(),
    };
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
