import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HeldBytes, type Holder } from "../held-bytes.ts";

/** What an answer takes in memory beside its body. */
const answerBytes = 4096;

/** Answers that callers do not take, over all connections: beyond the bound the connection that holds such longest is ended. */
export class UnreadAnswers {
  readonly #held: HeldBytes;
  readonly #connections = new WeakMap<Socket, Connection>();

  /** `refused` is called for each connection that is ended. */
  constructor(maxBytes: number, refused: () => void) {
    this.#held = new HeldBytes(maxBytes, refused);
  }

  /** Looks after a response that was written whole, to a request of the socket. */
  wrote(response: ServerResponse, socket: Socket, bodyBytes: number): void {
    // Most are with the system by now.
    if (socket.destroyed || (response.socket !== null && socket.writableLength === 0)) return;
    const connection = this.#connections.get(socket) ?? this.#connection(socket);
    const bytes = bodyBytes + answerBytes;
    connection.add(bytes);
    response.once("close", () => connection.add(-bytes));
  }

  #connection(socket: Socket): Connection {
    const connection = new Connection(socket, this.#held);
    this.#connections.set(socket, connection);
    socket.once("close", () => connection.end());
    return connection;
  }
}

class Connection implements Holder {
  readonly #socket: Socket;
  readonly #held: HeldBytes;
  #bytes = 0;
  #isOver = false;

  constructor(socket: Socket, held: HeldBytes) {
    this.#socket = socket;
    this.#held = held;
  }

  add(bytes: number): void {
    if (this.#isOver) return;
    this.#bytes += bytes;
    this.#held.set(this, this.#bytes);
  }

  end(): void {
    if (!this.#isOver) this.#held.set(this, 0);
    this.#isOver = true;
  }

  refuse(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }
}
