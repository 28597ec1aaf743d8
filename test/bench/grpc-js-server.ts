import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";

/** A unary method that is given the message's bytes and answers bytes. */
export type ByteMethod = handleUnaryCall<Buffer, Uint8Array>;

const received = (bytes: Buffer): Buffer => bytes;
const sent = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Serves methods by plain @grpc/grpc-js with identity codecs, on a free port of loopback. Answers its address. */
export function listenOnGrpcJs(methods: ReadonlyMap<string, ByteMethod>): Promise<string> {
  const server = new Server();
  for (const [path, method] of methods) server.register(path, method, sent, received, "unary");
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
    );
  });
}
