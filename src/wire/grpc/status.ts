import { headersFrame } from "../http2/header-encoder.ts";
import { encodings } from "../inflater.ts";
import { statusDetails } from "../status.ts";

const contentType = ["content-type", "application/grpc"] as const;
const responseFields = [[":status", "200"], contentType] as const;

/** The head of an answer that begins with messages. */
export const responseHeaders = headersFrame(responseFields, false);

/** The end of a call that went well, after its messages. */
export const okTrailers = headersFrame([["grpc-status", "0"]], true);

/** The end of a call: after messages, or as all that is answered ("Trailers-Only"). */
export function statusFrame(code: number, details: string, isWholeAnswer: boolean): Buffer {
  const fields: (readonly [string, string])[] = isWholeAnswer ? [...responseFields] : [];
  fields.push(["grpc-status", String(code)]);
  if (details !== "") fields.push(["grpc-message", percentEncode(statusDetails(details))]);
  // A caller whose compression is not known is told which is.
  if (isWholeAnswer && code === unimplemented) fields.push(["grpc-accept-encoding", encodings.join(",")]);
  return headersFrame(fields, true);
}

/** The answer to a request that is no gRPC. */
export function httpFrame(status: number): Buffer {
  const allow = status === 405 ? ([["allow", "POST"]] as const) : [];
  return headersFrame([[":status", String(status)], ...allow], true);
}

const unimplemented = 12;

/** Text as `grpc-message` carries it: UTF-8, of which only visible ASCII but `%` stands for itself. */
function percentEncode(text: string): string {
  return text.replace(/[^ -$&-~]/gu, (character) =>
    Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join(""),
  );
}
