import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Decoder, encode } from "@msgpack/msgpack";
import type { Chunk } from "./chunk.ts";
import type { Endpoint } from "./config.ts";
import { createPing, readHelo, textOf, type Credentials } from "./handshake.ts";
import type { Tls } from "weir/sdk/zod";

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  readonly tls: Tls;
  /** Left out: the server must not ask for a shared key. */
  readonly credentials: Credentials | undefined;
}

/** A connection to a server, from the first attempt on. When it fails it is of no more use. */
export interface Connection {
  /** Resolves when the server has acknowledged the chunk; rejects when the connection fails before. */
  send(chunk: Chunk): Promise<void>;
  /** Whether it has not failed yet, as far as is known. */
  alive(): boolean;
  /** Fails what is under way. */
  close(reason: string): void;
}

/** The bytes of a server between two of its messages: acknowledgements are of some 30. */
const maxUnread = 256 * 1024;

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

export function openConnection({ endpoint, tls, credentials }: ConnectionOptions): Connection {
  const { host, port } = endpoint;
  const target = { host, port, noDelay: true, keepAlive: true };
  const socket: Socket = endpoint.tls ? connectTls({ ...target, ...tls }) : connectTcp(target);
  const messages = readMessages(socket);
  const waiting = new Map<string, Waiting>();
  let failure: Error | undefined;

  async function next(): Promise<unknown> {
    const { value, done } = await messages.next();
    if (done === true) throw new Error("the server closed the connection");
    return value;
  }

  async function establish(): Promise<void> {
    await once(socket, endpoint.tls ? "secureConnect" : "connect");
    if (credentials === undefined) return;
    const helo = readHelo(await next());
    if (helo === undefined) throw new Error("the server begins with no HELO");
    const { ping, checkPong } = createPing(helo, credentials);
    socket.write(encode(ping));
    checkPong(await next());
  }

  async function readAcknowledgements(): Promise<void> {
    for (;;) {
      const message = await next();
      if (readHelo(message) !== undefined) throw new Error("the server asks for a shared key");
      const id = textOf((message as { readonly ack?: unknown } | null)?.ack);
      waiting.get(id)?.resolve();
      waiting.delete(id);
    }
  }

  function fail(error: Error & { readonly code?: string }): void {
    failure ??= new Error(error.message || error.code || "the connection failed");
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
    // With the error, so that whoever waits for the connection or for a message hears of it.
    socket.destroy(failure);
  }

  // Every error ends what is waited for; the event itself must have a listener.
  socket.on("error", fail);
  const established = establish();
  established.then(readAcknowledgements).catch(fail);

  return {
    async send({ id, message }) {
      await established.catch(() => {});
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.write(message);
      });
    },
    alive: () => failure === undefined,
    close: (reason) => fail(new Error(reason)),
  };
}

/** The messages of a server. Texts come as bytes. Throws when one has not the form of any, or does not end. */
async function* readMessages(socket: Socket): AsyncGenerator {
  const limits = { maxStrLength: 4096, maxBinLength: 4096, maxArrayLength: 16, maxMapLength: 16, maxExtLength: 16 };
  let unread = 0;
  async function* bounded(): AsyncGenerator<Uint8Array> {
    for await (const bytes of socket) {
      unread += (bytes as Uint8Array).length;
      if (unread > maxUnread) throw new Error("the server says more than any answer of the protocol");
      yield bytes as Uint8Array;
    }
  }
  for await (const message of new Decoder({ rawStrings: true, ...limits }).decodeStream(bounded())) {
    unread = 0;
    yield message;
  }
}
