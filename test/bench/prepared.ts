import { flag, frame, frameType, grpcMessage, literalBlock, maxFramePayload } from "./frames.ts";

/** The frames of one call, to be copied; stream ids are filled in when they are sent. */
export interface Prepared {
  /** HEADERS, then DATA frames. */
  readonly bytes: Buffer;
  /** Where each part ends that is sent as one: the headers with the first DATA frame, then a DATA frame each. */
  readonly ends: readonly number[];
  /** Payload bytes of each part's DATA frame, which the server's windows must allow. */
  readonly payloads: readonly number[];
}

/** Makes the frames of a unary gRPC call. */
export function prepareCall(path: string, message: Uint8Array): Prepared {
  const block = literalBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "mixer"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]);
  const body = grpcMessage(message);
  const parts: Buffer[] = [];
  const payloads: number[] = [];
  for (let at = 0; at < body.length; at += maxFramePayload) {
    const payload = body.subarray(at, at + maxFramePayload);
    const last = at + maxFramePayload >= body.length;
    const data = frame(frameType.data, last ? flag.endStream : 0, 0, payload);
    parts.push(at === 0 ? Buffer.concat([frame(frameType.headers, flag.endHeaders, 0, block), data]) : data);
    payloads.push(payload.length);
  }
  let end = 0;
  return { bytes: Buffer.concat(parts), ends: parts.map((part) => (end += part.length)), payloads };
}
