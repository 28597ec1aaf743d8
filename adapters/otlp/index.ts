import { setTimeout } from "node:timers/promises";
import { defineAdapter, SeriesStore, type Host } from "weir/sdk";
import { readHeaders, readTls } from "weir/sdk/zod";
import { createBatchExport } from "./batch-export.ts";
import { otlpConfig, type OtlpConfig } from "./config.ts";
import { encodeLogs } from "./encode-logs.ts";
import { SpanEncoder } from "./encode-spans.ts";
import { encodeResource, encodeScope } from "./encoding.ts";
import { createGrpcTransport } from "./grpc-transport.ts";
import { createHttpTransport } from "./http-transport.ts";
import { createMetricExport } from "./metric-export.ts";
import { createNotices } from "./notices.ts";
import type { Transport } from "./outcome.ts";

/** A series is dropped after its time and at most this part of it more. */
const sweeps = 8;

/** Sends metrics, logs and spans to an OpenTelemetry Collector, or to whatever else speaks OTLP. */
export default defineAdapter({
  name: "otlp",
  description: "metrics, logs and traces to an OpenTelemetry Collector, or whatever else speaks OTLP",
  provides: ["metrics", "logs", "spans"],
  config: otlpConfig,
  async create(config, host) {
    const transport = await openTransport(config, host);
    const notices = createNotices(host);
    const resource = encodeResource({ "service.name": "weir", ...config.resource });
    const scope = encodeScope();
    const spanEncoder = new SpanEncoder(config.resource, scope);
    const { maxSeries, maxLabelLength, temporality, interval, timeout, expire } = config;
    const store = new SeriesStore({
      maxSeries,
      maxLabelLength,
      prefix: "",
      linger: true,
      now: () => host.now(),
      log: host.log,
      count: (event, by) => host.count(event, by),
    });
    const exporter = createMetricExport({
      transport,
      metrics: { store, temporality, resource, scope, now: () => host.now() },
      deadlineMs: interval,
      lastDeadlineMs: timeout,
      host,
      notices,
      pause: (ms, signal) => setTimeout(ms, undefined, { signal, ref: false }),
      random: Math.random,
    });
    // The job does not wait for its export: an instance is closed when its jobs have ended, and close ends an export.
    host.every(interval, () => {
      exporter.run().catch((error: unknown) => host.log.error({ err: error }, "metrics could not be sent"));
    });
    if (expire !== undefined) host.every(expire / sweeps, () => store.sweep(sweeps));
    return {
      metrics: (group) => store.recorder(group),
      exported: exporter.exported,
      unexported: exporter.unexported,
      logs: createBatchExport({
        signalName: "logs",
        rejectedEvent: "log_records_rejected",
        encode: (entries, from) => encodeLogs(entries, from, resource, scope),
        ...{ transport, host, notices },
      }),
      spans: createBatchExport({
        signalName: "traces",
        rejectedEvent: "spans_rejected",
        encode: (spans, from) => spanEncoder.encode(spans, from),
        ...{ transport, host, notices },
      }),
      unready() {
        const reason = notices.failing("metrics");
        return reason === undefined ? undefined : `the receiver does not take metrics: ${reason}`;
      },
      async close() {
        await exporter.close();
        transport.close();
      },
    };
  },
});

async function openTransport(config: OtlpConfig, host: Host): Promise<Transport> {
  const { endpoint, protocol, compression, timeout: timeoutMs } = config;
  const headers = await readHeaders(config.headers, host.folder);
  const tls = endpoint.protocol === "https:" ? await readTls(config.tls, host.folder) : undefined;
  const options = { endpoint, headers, tls, compression, timeoutMs };
  return protocol === "grpc"
    ? createGrpcTransport(options)
    : createHttpTransport({ ...options, now: () => host.now() });
}
