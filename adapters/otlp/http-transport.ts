import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { parseRetryAfter } from "weir/sdk";
import type { Tls } from "weir/sdk/zod";
import { readAnswer } from "./answer.ts";
import { receiverText, type Outcome, type Transport } from "./outcome.ts";

const compress = promisify(gzip);

/** The most of an answer that is read; what is longer cannot be read. */
const maxAnswerBytes = 64 * 1024;

/** May be sent again (OTLP 1.5, "Retryable Response Codes"). */
const retryable = new Set([429, 502, 503, 504]);

export interface HttpTransportOptions {
  /** A path of it is put before those of the signals. */
  readonly endpoint: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Tls | undefined;
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** OTLP over HTTP with protobuf. Connections are kept; redirects are not followed. */
export function createHttpTransport(options: HttpTransportOptions): Transport {
  const { endpoint, headers, tls, compression, timeoutMs, now } = options;
  const secure = endpoint.protocol === "https:";
  const agent = secure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
  const request = secure ? requestHttps : requestHttp;
  const base = endpoint.pathname.replace(/\/$/, "");
  const encoding = compression === "gzip" ? { "content-encoding": "gzip" } : {};

  return {
    async send(signalName, message, signal) {
      const body = compression === "gzip" ? await compress(message) : message;
      if (signal.aborted) return { kind: "retry", reason: "it was given up" };
      return new Promise((resolve) => {
        const call = request({
          host: endpoint.hostname.replace(/^\[|\]$/g, ""),
          port: endpoint.port === "" ? undefined : endpoint.port,
          method: "POST",
          path: `${base}/v1/${signalName}`,
          agent,
          headers: {
            ...headers,
            ...encoding,
            "content-type": "application/x-protobuf",
            "content-length": body.length,
          },
        });
        const timer = setTimeout(() => give(`no answer within ${timeoutMs} ms`), timeoutMs);
        const abort = (): void => give("it was given up");
        signal.addEventListener("abort", abort);
        const end = (outcome: Outcome): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", abort);
          resolve(outcome);
        };
        const give = (reason: string): void => {
          end({ kind: "retry", reason });
          call.destroy();
        };
        call.on("error", (error) => end({ kind: "retry", reason: error.message || String(error) }));
        call.on("response", (response) => {
          readBody(response).then(
            (answer) => end(outcomeOf(response, answer, now())),
            (error: Error) => end({ kind: "retry", reason: error.message }),
          );
        });
        call.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

/** The body of an answer, of which no more than the bound is kept. Rejects when the connection breaks before its end. */
async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    chunks.push(chunk);
    // To read what is left of an endless answer would take for ever: the connection is given up.
    if (length > maxAnswerBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxAnswerBytes + 1);
}

function outcomeOf(response: IncomingMessage, body: Buffer, nowMs: number): Outcome {
  const status = response.statusCode ?? 0;
  const type = response.headers["content-type"] ?? "";
  if (status >= 200 && status < 300) {
    // A web page says that nobody here speaks OTLP, whatever its status.
    if (/^text\/html/i.test(type)) return { kind: "refused", reason: "the endpoint answers a web page, not OTLP" };
    return readAnswer(body);
  }
  const said = /^(text\/plain|application\/json)/i.test(type) ? `: ${receiverText(body.toString())}` : "";
  const reason = `the receiver answers HTTP ${status}${said}`;
  if (!retryable.has(status)) return { kind: "refused", reason };
  const afterMs = parseRetryAfter(response.headers["retry-after"], nowMs);
  return { kind: "retry", reason, ...(afterMs === undefined ? {} : { afterMs }) };
}
