import type { IncomingMessage } from "node:http";
import { WeirError } from "../../util/weir-error.ts";
import type { HeldBytes } from "../held-bytes.ts";

/** A body that is too large is still read, and thrown away, up to this many times the limit. */
const patience = 8;

/** What a part of a body takes in memory beside its bytes. */
const partBytes = 256;

/**
 * Reads a JSON body of at most `limit` bytes. Throws WEIR_MEDIA_TYPE for another type or encoding, and
 * WEIR_REQUEST_TOO_LARGE beyond the limit. A caller that is cut off while it sends seldom sees the answer, so a body
 * somewhat too large is read to its end before it is refused; one far too large is refused at once. Throws
 * WEIR_OVERLOADED when all bodies that are being read are too much for `held`, and this one began first.
 */
export async function readBody(request: IncomingMessage, limit: number, held: HeldBytes): Promise<Uint8Array> {
  const [type = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (type.trim() !== "application/json" || (charset !== undefined && !/^charset="?utf-8"?$/.test(charset))) {
    throw new WeirError("WEIR_MEDIA_TYPE", "the body must come as application/json");
  }
  if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
    throw new WeirError("WEIR_MEDIA_TYPE", "the body must come without a content encoding");
  }
  if (Number(request.headers["content-length"] ?? 0) > patience * limit) throw tooLarge(limit);

  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (error: WeirError): void => {
      request.removeAllListeners("data").pause();
      chunks.length = 0;
      reject(error);
    };
    const holder = {
      refuse: () => stop(new WeirError("WEIR_OVERLOADED", "too many bodies have begun to come and did not end")),
    };
    const end = (): void => held.set(holder, 0);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        held.set(holder, size + chunks.length * partBytes);
      } else {
        chunks.length = 0;
        end();
      }
      if (size > patience * limit) stop(tooLarge(limit));
    });
    request.once("end", () => {
      end();
      if (size <= limit) resolve(Buffer.concat(chunks, size));
      else reject(tooLarge(limit));
    });
    request.once("error", () => reject(cutShort()));
    request.once("close", () => {
      end();
      reject(cutShort());
    });
  });
}

function tooLarge(limit: number): WeirError {
  return new WeirError("WEIR_REQUEST_TOO_LARGE", `the body is larger than ${limit} bytes`);
}

function cutShort(): WeirError {
  return new WeirError("WEIR_REQUEST_MALFORMED", "the request ended within its body");
}
