import type { IncomingMessage, ServerResponse } from "node:http";
import type { Call } from "../call.ts";
import type { Client } from "../client.ts";

/** What a door may know of an HTTP request. */
export class HttpCall implements Call {
  readonly client: Client | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #signal: AbortSignal | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, client: Client | undefined) {
    this.client = client;
    this.#request = request;
    this.#response = response;
  }

  get peer(): string {
    return this.#request.socket.remoteAddress ?? "unknown";
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const abort = new AbortController();
      this.#signal = abort.signal;
      if (this.#response.closed) abort.abort();
      this.#response.once("close", () => abort.abort());
    }
    return this.#signal;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }
}
