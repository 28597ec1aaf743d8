import { Metadata, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { decodeLogs, decodeMetrics, decodeTraces, type LogRecord, type Metric, type SentSpan } from "./otlp-decoder.ts";

/** A request as it came. */
export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A small receiver of ours, which keeps what it is sent. */
export interface Receiver {
  readonly port: number;
  readonly received: readonly Received[];
  /** Everything that was sent so far. */
  metrics(): readonly Metric[];
  logs(): readonly LogRecord[];
  spans(): readonly SentSpan[];
  /** Resolves when so many requests have come. */
  saw(requests: number): Promise<void>;
  close(): Promise<void>;
}

/** How a request is answered; the default takes it. */
export type HttpAnswer = (request: Received, response: ServerResponse) => void;

class Kept {
  readonly received: Received[] = [];
  readonly #waiting = new Set<() => void>();

  keep(request: Received): void {
    this.received.push(request);
    for (const look of this.#waiting) look();
  }

  saw(requests: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.received.length < requests) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  metrics(): readonly Metric[] {
    return this.#of("metrics").flatMap(({ body }) =>
      decodeMetrics(body).resourceMetrics.flatMap(({ scopeMetrics }) =>
        scopeMetrics.flatMap(({ metrics }) => metrics ?? []),
      ),
    );
  }

  logs(): readonly LogRecord[] {
    return this.#of("logs").flatMap(({ body }) =>
      decodeLogs(body).resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords ?? [])),
    );
  }

  spans(): readonly SentSpan[] {
    return this.#of("trace").flatMap(({ body }) =>
      decodeTraces(body).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans ?? [])),
    );
  }

  #of(signalName: string): readonly Received[] {
    return this.received.filter(({ path }) => path.toLowerCase().includes(signalName));
  }
}

export interface HttpReceiverOptions {
  readonly answer?: HttpAnswer;
  readonly port?: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

export async function httpReceiver(options: HttpReceiverOptions = {}): Promise<Receiver> {
  const kept = new Kept();
  const answer = options.answer ?? ((_, response) => response.writeHead(200).end());
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const sent = Buffer.concat(chunks);
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
      const received = { path: `${request.method} ${request.url}`, headers: textsOf(request.headers), body };
      kept.keep(received);
      answer(received, response);
    });
  };
  const server =
    options.tls === undefined
      ? createServer(onRequest)
      : createSecureServer({ ...options.tls, requestCert: options.tls.ca !== undefined }, onRequest);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received: kept.received,
    metrics: () => kept.metrics(),
    logs: () => kept.logs(),
    spans: () => kept.spans(),
    saw: (requests) => kept.saw(requests),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function textsOf(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** The status and details with which a gRPC receiver refuses, or what it answers. */
export type GrpcAnswer =
  { readonly code: status; readonly details?: Buffer } | { readonly message: Uint8Array } | "never";

export interface GrpcReceiverOptions {
  readonly answer?: (request: Received) => GrpcAnswer;
  readonly credentials?: ServerCredentials;
  readonly port?: number;
}

export async function grpcReceiver(options: GrpcReceiverOptions = {}): Promise<Receiver> {
  const kept = new Kept();
  const server = new Server();
  const method = (path: string) => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  });
  for (const [name, path] of [
    ["traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"],
    ["logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"],
    ["metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"],
  ] as const) {
    server.addService(
      { [name]: method(path) },
      {
        [name]: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
          const headers = Object.fromEntries(
            Object.entries(call.metadata.getMap()).map(([key, value]) => [key, String(value)]),
          );
          const received = { path, headers, body: call.request };
          kept.keep(received);
          const answer = options.answer?.(received) ?? { message: new Uint8Array() };
          if (answer === "never") return;
          if ("message" in answer) return callback(null, Buffer.from(answer.message));
          const metadata = new Metadata();
          if (answer.details !== undefined) metadata.set("grpc-status-details-bin", answer.details);
          callback({ code: answer.code, details: "not now", metadata });
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      `127.0.0.1:${options.port ?? 0}`,
      options.credentials ?? ServerCredentials.createInsecure(),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    ),
  );
  return {
    port,
    received: kept.received,
    metrics: () => kept.metrics(),
    logs: () => kept.logs(),
    spans: () => kept.spans(),
    saw: (requests) => kept.saw(requests),
    close: async () => server.forceShutdown(),
  };
}
