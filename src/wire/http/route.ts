import type { Call } from "../call.ts";

/** A request at the HTTP listener, its body read. */
export interface HttpRequest {
  readonly method: string;
  /** As it came, without the query. */
  readonly path: string;
  /** What follows the first `?`; empty when there is none. */
  readonly query: string;
  /** Names and values by turns, as they came: any case, every repetition, bytes as characters (latin1). */
  readonly rawHeaders: readonly string[];
  /** Empty but for a POST route. */
  readonly body: Uint8Array;
  readonly call: Call;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; bytes as characters (latin1). */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Becomes JSON. */
  readonly json?: unknown;
  /** The body in place of `json`. Its type is said in `headers`. */
  readonly body?: string;
}

/** One path and method. Throws a `WeirError` for a request that fails as a whole. */
export interface HttpRoute {
  /** `any`: every method; a body that comes is thrown away. */
  readonly method: "GET" | "POST" | "any";
  readonly path: string;
  /** Whether every path that begins with `path` is meant, and no longer route. */
  readonly below?: boolean;
  /** For metrics: `check`, `report`. */
  readonly name: string;
  handle(request: HttpRequest): HttpAnswer | Promise<HttpAnswer>;
}

/** The name of the door that takes attributes as JSON, for metrics and for the lists of who may use it. */
export const httpDoorName = "http";

/** What a door serves over HTTP. */
export interface HttpDoor {
  readonly name: string;
  readonly routes: readonly HttpRoute[];
}
