import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
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
