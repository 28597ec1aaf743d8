import type { IncomingMessage, ServerResponse } from "node:http";
import { openGate, type Gate } from "../../listen/gate.ts";
import {
  boundPipelines,
  connectionsCheckingInterval,
  gatedHttpServer,
  rememberGuests,
} from "../../listen/http-server.ts";
import type { Log } from "../../sdk/index.ts";
import { listen } from "../../util/listen.ts";
import type { Observer } from "../../util/observer.ts";
import { WeirError } from "../../util/weir-error.ts";
import { toStatus } from "../status.ts";
import { HeldBytes } from "../held-bytes.ts";
import type { Client } from "../client.ts";
import { HttpCall } from "./http-call.ts";
import { readBody } from "./body.ts";
import type { HttpAnswer, HttpDoor, HttpRoute } from "./route.ts";
import { UnreadAnswers } from "./unread-answers.ts";

export interface HttpServerOptions {
  /** Who comes in. Default: everybody, in plain text. */
  readonly gate?: Gate;
  readonly doors: readonly HttpDoor[];
  /** The largest body taken, in bytes. */
  readonly limits: { readonly messageBytes: number };
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds of a clock that is never set and tells fractions, such as `performance.now`. */
  readonly monotonic: () => number;
}

/** The HTTP listener. */
export interface HttpServer {
  /** Listens on `host:port`; port 0 takes a free one. Answers the address that it listens on. Throws WEIR_LISTEN. */
  listen(address: string): Promise<string>;
  /** Takes no new connection, answers what was asked, and ends. When `force` is aborted, what is left is cut. */
  drain(force: AbortSignal): Promise<void>;
}

const maxConnections = 10_000;
/** How many bodies of the largest size may be on their way at once, over all connections. */
const bodiesOnTheWay = 64;
/** The most bytes of a request's head: what proxies take from their own callers, and theirs beside it. */
const maxHeaderBytes = 64 * 1024;
/** A caller has this long to send its headers, and this long to send all of its request. */
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
/** The most bytes of answers that callers do not take, over all connections. */
const maxUnreadBytes = 64 * 1024 * 1024;
/** How long an idle connection is kept: longer than the minute after which common load balancers let go of theirs. */
const keepAliveMs = 65_000;
/** A peer that neither sends nor takes bytes for so long while it is to be answered is gone: longer than an adapter may take. */
const stillMs = 11 * 60_000;

/** What is served at a path, by method. */
type Methods = Map<string, { readonly door: string; readonly route: HttpRoute }>;

/** Makes the HTTP listener for the routes of all doors. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { observer, log, monotonic, gate = openGate } = options;
  const routes = new Map<string, Methods>();
  const beginnings: [path: string, methods: Methods][] = [];
  for (const door of options.doors) {
    for (const route of door.routes) {
      const methods: Methods = routes.get(route.path) ?? new Map();
      const served = { door: door.name, route };
      routes.set(route.path, methods.set(route.method, served));
      // Node leaves the body out.
      if (route.method === "GET") methods.set("HEAD", served);
      if (route.below === true) beginnings.push([route.path, methods]);
    }
  }
  const methodsAt = (path: string): Methods | undefined =>
    routes.get(path) ?? beginnings.find(([beginning]) => path.startsWith(beginning))?.[1];
  const { messageBytes } = options.limits;
  const held = new HeldBytes(bodiesOnTheWay * messageBytes, () => observer.dropped("call", "messages_unfinished", 1));
  let draining = false;

  const guestOf = rememberGuests(gate);

  const unread = new UnreadAnswers(maxUnreadBytes, () => observer.dropped("connection", "answers_unread", 1));
  const mayServe = boundPipelines(() => observer.dropped("connection", "flood", 1));

  const send = (request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void => {
    const { status, headers, json, body: given } = answer;
    const body = Buffer.from(given ?? JSON.stringify(json));
    response.writeHead(status, {
      ...(given === undefined && { "content-type": "application/json" }),
      ...(status !== 204 && { "content-length": body.length }),
      "cache-control": "no-store",
      ...(draining && { connection: "close" }),
      ...headers,
    });
    response.end(body);
    unread.wrote(response, request.socket, body.length);
  };

  const answer = async (
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    route: HttpRoute,
    client: Client | undefined,
  ) => {
    const body = route.method === "POST" ? await readBody(request, messageBytes, held) : noBody;
    if (route.method === "any") request.resume();
    const { method = "", url = "", rawHeaders } = request;
    const query = url.slice(path.length + 1);
    return await route.handle({ method, path, query, rawHeaders, body, call: new HttpCall(request, response, client) });
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedMs = monotonic();
    const path = pathOf(request.url);
    const methods = methodsAt(path);
    const found = methods?.get(request.method ?? "") ?? methods?.get("any");
    let result: HttpAnswer;
    try {
      const client = guestOf(request.socket)?.enter(found?.door);
      if (methods === undefined) throw new WeirError("WEIR_NOT_FOUND", "there is nothing at this path");
      if (found === undefined) {
        throw new WeirError("WEIR_METHOD_NOT_ALLOWED", `this path takes ${[...methods.keys()].join(", ")}`);
      }
      result = await answer(path, request, response, found.route, client);
    } catch (error) {
      const { code, message, http, fault } = toStatus(error);
      if (fault !== undefined) log.error({ err: fault, path: found?.route.path }, "a request failed");
      const headers = {
        ...(http === 405 && { allow: [...methods!.keys()].join(", ") }),
        // What is left of the body is not waited for.
        ...((http === 403 || http === 413 || http === 503) && !request.complete && { connection: "close" }),
      };
      result = { status: http, headers, json: { error: { code, message } } };
    }
    observer.call(
      found?.door ?? "http",
      found?.route.name ?? "unknown",
      String(result.status),
      monotonic() - startedMs,
    );
    try {
      if (!response.destroyed) send(request, response, result);
    } catch (error) {
      log.error({ err: error, path: found?.route.path }, "an answer could not be written");
      response.destroy();
    }
  };

  const server = gatedHttpServer(
    gate,
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval,
      noDelay: true,
    },
    (request, response) => {
      if (mayServe(request, response)) void serve(request, response);
    },
  );
  server.maxConnections = maxConnections;
  server.setTimeout(stillMs);
  // Node would leave out the headers beyond a count in silence: a rule must see them all, and the size bounds them.
  server.maxHeadersCount = 0;
  server.on("drop", () => observer.dropped("connection", "too_many", 1));

  return {
    listen: (address) => listen(server, address),
    async drain(force) {
      draining = true;
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      gate.shut();
      server.closeIdleConnections();
      const cut = () => server.closeAllConnections();
      if (force.aborted) cut();
      else force.addEventListener("abort", cut, { once: true });
      await closed;
      force.removeEventListener("abort", cut);
    },
  };
}

const noBody = new Uint8Array();

/** The path of a request's target, without its query. */
function pathOf(target = ""): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}
