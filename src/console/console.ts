import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Log } from "../sdk/index.ts";
import type { TokenCheck } from "../listen/credentials.ts";
import { openGate, type Gate } from "../listen/gate.ts";
import { boundPipelines, connectionsCheckingInterval, gatedHttpServer, rememberGuests } from "../listen/http-server.ts";
import { errorCodes, type ErrorCode } from "../util/error-codes.ts";
import { createScrapeTest } from "../util/exposition.ts";
import { listen } from "../util/listen.ts";
import type { Timers } from "../util/timers.ts";
import { WeirError } from "../util/weir-error.ts";
import { findPage, type PageAnswer, type Page } from "./pages.ts";
import { mayBeRebound } from "./rebinding.ts";
import type { HubView } from "./view.ts";

export interface ConsoleOptions {
  readonly hub: HubView;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  /** Who comes in. Default: everybody, in plain text. */
  readonly gate?: Gate;
  /** Which pages need a token, and whose it is. Left out: none. */
  readonly tokens?: TokenCheck | undefined;
}

/** The admin listener: health, metrics, limits and a look at what is loaded, over HTTP, for operators and scrapers. */
export interface Console {
  /** Listens on `HOST:PORT` (port 0: any free one) and answers the address that it got. Throws `WEIR_LISTEN`. */
  start(address: string): Promise<string>;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/**
 * Scrapes and listings under way at once, of each page: they may take a while and must not starve the checks, and whoever
 * sends slowly to one page must not keep scrapers from another.
 */
const maxLongAnswers = 8;

const probed: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

export function createConsole(options: ConsoleOptions): Console {
  const { log, gate = openGate, tokens } = options;
  const guestOf = rememberGuests(gate);
  const longAnswers = new Map<Page, number>();
  const scrapeTest = createScrapeTest();

  const mayServe = boundPipelines(() => log.debug({}, "a connection of the console had too many requests under way"));
  const times = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval };
  const server = gatedHttpServer(gate, { maxHeaderSize: 16 * 1024, ...times }, (request, response) => {
    if (!mayServe(request, response)) return;
    answer(request, response).catch((error: unknown) => {
      if (error instanceof WeirError) return sendError(response, error.code, error.message);
      log.error({ err: error, path: request.url }, "the console failed to answer");
      if (response.headersSent) response.destroy();
      else sendError(response, "WEIR_INTERNAL", "a fault in Weir; the log has the cause");
    });
  });
  server.maxConnections = 256;
  // A peer that neither sends nor takes bytes for so long is gone.
  server.setTimeout(60_000);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = "/", search = ""] = (request.url ?? "/").split("?", 2);
    guestOf(request.socket)?.enter("admin");
    const person = tokens?.personOf(request.headers.authorization);
    // Who has no token is not told either which pages there are.
    if (tokens !== undefined && person === undefined && !tokens.open.includes(path)) {
      tokens.refused(request.socket.remoteAddress);
      response.setHeader("www-authenticate", 'Bearer realm="weir"');
      return sendError(response, "WEIR_UNAUTHENTICATED", "expected a bearer token");
    }
    // A token is nothing that a page has; what probes ask for tells nothing.
    if (tokens === undefined && !probed.has(path) && mayBeRebound(request.headers.host, server.address()))
      return sendError(
        response,
        "WEIR_NOT_PERMITTED",
        "expected the host localhost or an address, or tokens in weir.yaml",
      );
    const found = findPage(path);
    if (found === undefined) return sendError(response, "WEIR_NOT_FOUND", "no such page; GET / lists the pages");
    const { page, rest } = found;
    const isChange = request.method === "POST" && page.change !== undefined;
    if (!isChange && request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", page.change === undefined ? "GET, HEAD" : "GET, HEAD, POST");
      return sendError(
        response,
        "WEIR_METHOD_NOT_ALLOWED",
        page.change === undefined ? "expected GET or HEAD" : "expected GET, HEAD or POST",
      );
    }
    // Browsers say so of every POST (Fetch standard, 3.2), and no page of the console makes one: it would be another page's.
    if (isChange && request.headers.origin !== undefined)
      return sendError(response, "WEIR_NOT_PERMITTED", "changes are not taken from a browser");
    // Elsewhere a body has no meaning and is not read (RFC 9110, 9.3.1).
    const hasBody = request.headers["content-length"] ?? request.headers["transfer-encoding"];
    if (!isChange && hasBody !== undefined) response.setHeader("connection", "close");
    const { headers } = request;
    const isScrape = (): boolean => scrapeTest(headers);
    const query = new URLSearchParams(search);
    const asked = { ...options, accept: headers.accept, isScrape, person, rest, query };
    const who = person ?? request.socket.remoteAddress ?? "unknown";
    const answering = (): PageAnswer | Promise<PageAnswer> =>
      isChange ? page.change!({ ...asked, request, who }) : page.answer(asked);
    if (!page.long) return send(await answering(), request, response);
    const underWay = longAnswers.get(page) ?? 0;
    if (underWay >= maxLongAnswers) {
      response.setHeader("retry-after", "1");
      return sendError(response, "WEIR_CONSOLE_BUSY", `${underWay} answers of this page are under way`);
    }
    longAnswers.set(page, underWay + 1);
    try {
      await send(await answering(), request, response);
    } finally {
      longAnswers.set(page, longAnswers.get(page)! - 1);
    }
  }

  async function send(answer: PageAnswer, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status = 200, type, body, delivered } = answer;
    response.writeHead(status, { ...commonHeaders, "content-type": type });
    if (request.method === "HEAD" || typeof body === "string") {
      response.end(request.method === "HEAD" ? undefined : body);
      return;
    }
    try {
      await pipeline(Readable.from(body), response);
      delivered?.();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
      log.debug({ path: request.url }, "a reader of the console went away");
    }
  }

  return {
    async start(address) {
      const bound = await listen(server, address);
      server.on("error", (error) => log.error({ err: error }, "the admin listener had an error"));
      return bound;
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      gate.shut();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** No page is to be kept, guessed at, or read by a page of another origin. */
const commonHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

function sendError(response: ServerResponse, code: ErrorCode, message: string): void {
  response.writeHead(errorCodes[code].http, { ...commonHeaders, "content-type": "application/json; charset=utf-8" });
  response.end(`${JSON.stringify({ error: { code, message } })}\n`);
}
