import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createScrapeTest, expositionFormat, expositionTypes, type Exposition, type Host } from "weir/sdk";

export interface ListenerOptions {
  /** `HOST:PORT`. */
  readonly address: string;
  /** Where it shows the metrics, `/metrics` for instance. */
  readonly path: string;
  readonly expose: (exposition: Exposition) => AsyncIterable<string>;
  readonly host: Host;
}

export interface Listener {
  unready(): string | undefined;
  close(): Promise<void>;
}

/**
 * An HTTP listener that serves metrics at one path and nothing else. When the address is taken it tries again every second: over
 * a reload that changes the configuration, the instance before still holds it for a moment.
 */
export async function createListener({ address, path, expose, host }: ListenerOptions): Promise<Listener> {
  const server = createServer({ maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000 });
  server.on("request", (request, response) => void answer(request, response));
  server.maxConnections = 64;
  server.setTimeout(60_000);
  server.on("error", (error) => host.log.debug({ err: error }, "the listener for /metrics had an error"));
  const isScrape = createScrapeTest();
  let problem: string | undefined;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = (request.url ?? "").split("?", 1)[0];
    if (asked !== path || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(asked === path ? 405 : 404, { "content-type": "text/plain; charset=utf-8" });
      response.end(`GET ${path}\n`);
      return;
    }
    const format = expositionFormat(request.headers.accept);
    response.writeHead(200, { "content-type": expositionTypes[format] });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    let tell: (isTaken: boolean) => void = () => undefined;
    const taken = new Promise<boolean>((resolve) => (tell = resolve));
    try {
      await pipeline(Readable.from(whole({ format, taken })), response);
      tell(isScrape(request.headers));
    } catch (error) {
      host.log.debug({ err: error }, "a scrape ended early");
    }
  }

  async function* whole(exposition: Exposition): AsyncGenerator<string> {
    yield* expose(exposition);
    if (exposition.format === "openmetrics") yield "# EOF\n";
  }

  async function listen(): Promise<void> {
    const colon = address.lastIndexOf(":");
    server.listen(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/^\[|\]$/g, "") || undefined);
    await once(server, "listening");
    problem = undefined;
    host.log.info({ address: server.address() }, `serving ${path}`);
  }

  try {
    await listen();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    problem = `${address} is in use`;
    host.log.warn({ address }, "the address for /metrics is in use; trying again until it is free");
    host.every(1000, async () => {
      if (problem !== undefined && !host.signal.aborted) await listen().catch(() => {});
    });
  }

  return {
    unready: () => problem,
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
