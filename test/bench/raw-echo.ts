import { createServer, type Server } from "node:net";
import { flag, frame, frameType, grpcMessage, literalBlock, preface, settingsFrame, setting } from "./frames.ts";

/**
 * An HTTP/2 server that answers every call with the same bytes and does nothing else: no flow control, no limits. It
 * costs less than any real server, so what the load generator reaches here is the most that it can measure.
 */
export function createRawEcho(answer: Uint8Array): Server {
  const reply = Buffer.concat([
    frame(
      frameType.headers,
      flag.endHeaders,
      0,
      literalBlock([
        [":status", "200"],
        ["content-type", "application/grpc"],
      ]),
    ),
    frame(frameType.data, 0, 0, grpcMessage(answer)),
    frame(frameType.headers, flag.endHeaders | flag.endStream, 0, literalBlock([["grpc-status", "0"]])),
  ]);
  const ids: number[] = [];
  for (let at = 0; at < reply.length; at += 9 + reply.readUIntBE(at, 3)) ids.push(at + 5);

  return createServer({ noDelay: true }, (socket) => {
    let rest = Buffer.alloc(0);
    let skip = preface.length;
    socket.write(settingsFrame([[setting.initialWindowSize, 0x7fff_ffff]]));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = Math.min(skip, bytes.length);
      skip -= at;
      const out: Buffer[] = [];
      let consumed = 0;
      while (bytes.length - at >= 9) {
        const size = bytes.readUIntBE(at, 3);
        if (bytes.length - at < 9 + size) break;
        const type = bytes[at + 3];
        const flags = bytes[at + 4]!;
        if (type === frameType.settings && (flags & flag.ack) === 0)
          out.push(frame(frameType.settings, flag.ack, 0, Buffer.alloc(0)));
        if (type === frameType.data) {
          consumed += size;
          if ((flags & flag.endStream) !== 0) {
            const copy = Buffer.from(reply);
            for (const id of ids) bytes.copy(copy, id, at + 5, at + 9);
            out.push(copy);
          }
        }
        at += 9 + size;
      }
      rest = Buffer.from(bytes.subarray(at));
      if (consumed > 0) {
        const by = Buffer.alloc(4);
        by.writeUInt32BE(consumed);
        out.push(frame(frameType.windowUpdate, 0, 0, by));
      }
      if (out.length > 0) socket.write(Buffer.concat(out));
    });
  });
}
