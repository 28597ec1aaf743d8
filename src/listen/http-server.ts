import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Guest, Gate } from "./gate.ts";

/** An HTTP/1.1 server behind a gate: of plain text, or of TLS with the gate's certificates. */
export function gatedHttpServer(gate: Gate, options: ServerOptions, listener: RequestListener): Server | TlsServer {
  if (gate.tls === undefined) return createServer(options, listener);
  const server = createTlsServer({ ...options, ...gate.tls, ALPNProtocols: ["http/1.1"] }, listener);
  gate.guard(server);
  return server;
}

/**
 * How often it is looked for requests whose time is up. Node's default of 30 s would let whoever sends slowly have so much
 * more than the time that it is given.
 */
export const connectionsCheckingInterval = 1000;

/**
 * The most requests of a connection that may wait behind the one that is being answered (pipelining, RFC 9112, 9.3.2), which
 * hardly any client sends. Node stops reading only between reads, of which one can hold well over a thousand.
 */
const maxPipelined = 64;

/**
 * Tells whether a request may be served, asked of each once. A connection with more requests under way than may be is
 * ended, and `refused` is called.
 */
export function boundPipelines(refused: () => void): (request: IncomingMessage, response: ServerResponse) => boolean {
  const waiting = new WeakMap<Socket, number>();
  return ({ socket }, response) => {
    // A response has the socket as soon as those before it are sent.
    if (response.socket !== null) return true;
    if (socket.destroyed) return false;
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > maxPipelined) {
      socket.destroy();
      refused();
      return false;
    }
    waiting.set(socket, count);
    response.once("close", () => waiting.set(socket, waiting.get(socket)! - 1));
    return true;
  };
}

/** Who is at the other end of a connection, asked of the gate once. */
export function rememberGuests(gate: Gate): (socket: Socket) => Guest | undefined {
  const guests = new WeakMap<Socket, Guest>();
  return (socket) => {
    const known = guests.get(socket);
    if (known !== undefined) return known;
    const guest = gate.guest(socket);
    if (guest !== undefined) guests.set(socket, guest);
    return guest;
  };
}
