import type { IncomingMessage } from "node:http";
import { WeirError } from "../util/weir-error.ts";

/** The most that somebody has to say to the console. */
const maxBytes = 64 * 1024;

/**
 * Reads the JSON object of a request. Throws WEIR_MEDIA_TYPE, WEIR_REQUEST_TOO_LARGE and WEIR_REQUEST_MALFORMED. The type
 * is insisted on: a page of another origin cannot send it without asking first (Fetch standard, "CORS-safelisted
 * request-header"), so that no such page changes anything by a browser that reaches the console.
 */
export async function readJsonBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type !== "application/json") throw new WeirError("WEIR_MEDIA_TYPE", "the body must come as application/json");
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new WeirError("WEIR_REQUEST_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof WeirError) throw error;
    throw new WeirError("WEIR_REQUEST_MALFORMED", "the request ended within its body");
  }
  let json: unknown;
  try {
    json = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new WeirError("WEIR_REQUEST_MALFORMED", `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new WeirError("WEIR_REQUEST_MALFORMED", "expected a JSON object");
}
