import test from "ava";
import { AccessLogType } from "../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { method } from "../wire/envoy/access-log/door.ts";
import {
  common,
  fullHttp,
  fullTcp,
  httpEntry,
  identifier,
  message,
  tcpEntry,
} from "../wire/envoy/access-log/entries.ts";
import { connect, hubFor, metric, stream } from "./clients.ts";

// No policy for metrics: a hub exports those of the mesh by itself.
const files = { "policies/none.yaml": "policy: none\n" };

const nothing = { encode: () => ({ finish: () => new Uint8Array() }), decode: (bytes: Uint8Array) => bytes.length };

/** The labels of Istio's metrics for the entries of a sidecar at the server's side. */
const labels = {
  reporter: "destination",
  source_workload: "productpage-v1",
  source_principal: "cluster.local/ns/web/sa/bookinfo-productpage",
  source_app: "productpage",
  source_version: "v1",
  destination_workload: "reviews-v3",
  destination_workload_namespace: "bookinfo",
  destination_principal: "cluster.local/ns/bookinfo/sa/bookinfo-reviews",
  destination_app: "reviews",
  destination_version: "v3",
  destination_service: "reviews.bookinfo.svc.cluster.local",
  destination_service_name: "reviews",
  destination_service_namespace: "bookinfo",
  response_flags: "UF,URX",
  connection_security_policy: "mutual_tls",
};

test("access logs of HTTP and TCP become Istio's metrics, and the stream is answered when it ends", async (t) => {
  const hub = await hubFor(t, files);
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const log = stream(client, method, nothing);
  log.send(message({ http: [httpEntry(fullHttp), httpEntry(fullHttp)] }, identifier));
  log.send(message({ http: [httpEntry({ commonProperties: { accessLogType: AccessLogType.DownstreamPeriodic } })] }));
  for (const [accessLogType, receivedBytes, sentBytes] of [
    [AccessLogType.TcpConnectionStart, 0n, 0n],
    [AccessLogType.TcpPeriodic, 100n, 1000n],
    [AccessLogType.TcpPeriodic, 150n, 1500n],
    [AccessLogType.TcpConnectionEnd, 180n, 1500n],
  ] as const) {
    const entry = {
      ...fullTcp,
      commonProperties: { ...common, accessLogType },
      connectionProperties: { receivedBytes, sentBytes },
    };
    log.send(message({ tcp: [tcpEntry(entry)] }));
  }
  log.halfClose();
  t.is(await log.next(), 0);
  t.is((await log.status).code, 0);

  const http = { ...labels, request_protocol: "grpc", response_code: "503" };
  t.is(await metric(hub, "istio_requests_total", http), 2);
  t.is(await metric(hub, "istio_request_duration_milliseconds_sum", http), 2500);
  t.is(await metric(hub, "istio_request_bytes_sum", http), 2400);
  t.is(await metric(hub, "istio_response_bytes_sum", http), 10_000_000_000);
  t.is(await metric(hub, "istio_tcp_connections_opened_total", labels), 1);
  t.is(await metric(hub, "istio_tcp_connections_closed_total", labels), 1);
  t.is(await metric(hub, "istio_tcp_received_bytes_total", labels), 180);
  t.is(await metric(hub, "istio_tcp_sent_bytes_total", labels), 1500);
  t.is(await metric(hub, "weir_calls_total", { door: "accesslog", method: "StreamAccessLogs", code: "OK" }), 1);
});
