import type { Call } from "../call.ts";

/** A request at the HTTP listener, its body read. */
export interface HttpRequest {
  /** Without the query. */
  readonly path: string;
  /** Empty for a GET. */
  readonly body: Uint8Array;
  readonly call: Call;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Becomes JSON. */
  readonly json: unknown;
}

/** One path and method. Throws a `WeirError` for a request that fails as a whole. */
export interface HttpRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
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
