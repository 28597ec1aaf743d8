import { Client, compressionAlgorithms, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import type { Tls } from "weir/sdk/zod";
import { readAnswer, readRetryDelay } from "./answer.ts";
import { receiverText, type Outcome, type SignalName, type Transport } from "./outcome.ts";

const methods: Readonly<Record<SignalName, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
};

/** May be sent again (OTLP 1.5, "Failures"). RESOURCE_EXHAUSTED may where the receiver says when. */
const retryable = new Set<status>([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

export interface GrpcTransportOptions {
  readonly endpoint: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Left out: without TLS. */
  readonly tls: Tls | undefined;
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
}

/** OTLP over gRPC. The connection is made when it is needed, and made again with growing pauses. */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  const { endpoint, tls, compression, timeoutMs } = options;
  const client = new Client(
    `${endpoint.hostname}:${endpoint.port || (tls === undefined ? 80 : 443)}`,
    credentialsOf(tls),
    {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.max_receive_message_length": 64 * 1024,
      "grpc.initial_reconnect_backoff_ms": 500,
      "grpc.max_reconnect_backoff_ms": 10_000,
      "grpc.default_compression_algorithm":
        compression === "gzip" ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
      ...(tls?.servername !== undefined && {
        "grpc.ssl_target_name_override": tls.servername,
        "grpc.default_authority": tls.servername,
      }),
    },
  );
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.headers)) metadata.set(name, value);

  return {
    send: (signalName, message, signal) =>
      new Promise((resolve) => {
        const call = client.makeUnaryRequest(
          methods[signalName],
          (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          (bytes: Buffer) => bytes,
          message,
          metadata.clone(),
          { deadline: Date.now() + timeoutMs },
          (error, answer) => {
            signal.removeEventListener("abort", abort);
            resolve(error === null ? readAnswer(answer ?? Buffer.alloc(0)) : outcomeOf(error));
          },
        );
        const abort = (): void => call.cancel();
        if (signal.aborted) abort();
        else signal.addEventListener("abort", abort);
      }),
    close: () => client.close(),
  };
}

function credentialsOf(tls: Tls | undefined) {
  if (tls === undefined) return credentials.createInsecure();
  const bytes = (pem: string | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert));
}

function outcomeOf(error: ServiceError): Outcome {
  const reason = `the receiver answers ${status[error.code] ?? error.code}: ${receiverText(error.details)}`;
  const details = error.metadata.get("grpc-status-details-bin")[0];
  const afterMs = Buffer.isBuffer(details) ? readRetryDelay(details) : undefined;
  const exhausted = error.code === status.RESOURCE_EXHAUSTED && afterMs !== undefined;
  if (!exhausted && !retryable.has(error.code)) return { kind: "refused", reason };
  return { kind: "retry", reason, ...(afterMs === undefined ? {} : { afterMs }) };
}
