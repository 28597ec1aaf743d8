import { Duration } from "../../src/attributes/duration.ts";
import { createClient, createStreamClient, type Attributes } from "../../src/client/index.ts";
import { AccessLogType } from "../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { method } from "../wire/envoy/access-log/door.ts";
import { httpEntry, message, peer, tcpEntry, type Part } from "../wire/envoy/access-log/entries.ts";
import { connect, stream } from "./clients.ts";
import type { Hub } from "./hub.ts";

/** Traffic of a mesh, reported through one door. */
export interface Traffic {
  /** Reports the same calls once more. */
  send(): Promise<void>;
  close(): void;
}

/** A call between two workloads of bookinfo, as the proxy at one side saw it. */
interface Seen {
  readonly side: "inbound" | "outbound";
  readonly from: string;
  readonly to: string;
  readonly mtls: boolean;
}

/** Calls to the workload that the dashboards look at and calls that it makes, of both sides, with and without TLS. */
const calls: readonly Seen[] = [
  { side: "inbound", from: "productpage", to: "reviews", mtls: true },
  { side: "inbound", from: "productpage", to: "reviews", mtls: false },
  { side: "inbound", from: "reviews", to: "ratings", mtls: true },
  { side: "outbound", from: "productpage", to: "reviews", mtls: true },
  { side: "outbound", from: "reviews", to: "ratings", mtls: true },
];

const codes = [200, 404, 503];

const host = (service: string) => `${service}.bookinfo.svc.cluster.local`;
const workload = (service: string) => `${service}-v3`;
const identity = (service: string) => `cluster.local/ns/bookinfo/sa/bookinfo-${service}`;
const labels = (service: string) => ({ app: service, version: "v3" });

/** The calls as attributes: every one as a request with each status, and as a TCP connection from open to close. */
const records: readonly Attributes[] = calls.flatMap(({ side, from, to, mtls }) => {
  const common: Attributes = {
    "context.reporter.kind": side,
    "connection.mtls": mtls,
    "source.workload.name": workload(from),
    "source.workload.namespace": "bookinfo",
    "source.labels": labels(from),
    "destination.workload.name": workload(to),
    "destination.workload.namespace": "bookinfo",
    "destination.labels": labels(to),
    "destination.service.host": host(to),
    "destination.service.name": to,
    "destination.service.namespace": "bookinfo",
    ...(mtls && { "source.principal": identity(from), "destination.principal": identity(to) }),
  };
  const http = codes.map((code) => ({
    ...common,
    "context.protocol": "http",
    "request.size": 120n,
    "response.code": BigInt(code),
    "response.size": 4000n,
    "response.duration": Duration.fromMs(12)!,
  }));
  const tcp = ["open", "close"].map((event) => ({
    ...common,
    "context.protocol": "tcp",
    "connection.event": event,
    "connection.sent.bytes": 5300n,
    "connection.received.bytes": 480n,
  }));
  return [...http, ...tcp];
});

function throughMixer(hub: Hub): Traffic {
  const client = createClient({ address: hub.grpc });
  return { send: () => client.report(records), close: () => client.close() };
}

function throughStream(hub: Hub): Traffic {
  const client = createStreamClient({ address: hub.grpc });
  return { send: async () => void (await client.report(records)), close: () => client.close() };
}

/** One stream for each sidecar that saw one of the calls, as Envoy opens them. */
function throughAccessLog(hub: Hub): Traffic {
  const client = connect(hub.grpc);
  const streams = new Map<string, ReturnType<typeof stream>>();
  let connections = 0;
  return {
    send: async () => {
      for (const { side, from, to, mtls } of calls) {
        const own = side === "inbound" ? to : from;
        let log = streams.get(own);
        const who = log === undefined ? sidecar(own) : undefined;
        log ??= stream(client, method, { decode: (bytes) => bytes });
        streams.set(own, log);
        const common = {
          startTime: { seconds: 1_800_000_000n, nanos: 0 },
          duration: { seconds: 0n, nanos: 12_000_000 },
          upstreamCluster: `${side}|9080|${side === "inbound" ? "http" : ""}|${host(to)}`,
          filterStateObjects: new Map([
            [
              side === "inbound" ? "downstream_peer" : "upstream_peer",
              peer({ workload: workload(side === "inbound" ? from : to), namespace: "bookinfo", app: from }),
            ],
          ]),
          ...(mtls && side === "inbound" && { tlsProperties: certificates(from, to) }),
        };
        const http = codes.map((responseCode) =>
          httpEntry({
            commonProperties: { ...common, accessLogType: AccessLogType.DownstreamEnd },
            request: { requestBodyBytes: 120n },
            response: { responseCode, responseBodyBytes: 4000n },
          }),
        );
        const tcp = tcpEntry({
          commonProperties: {
            ...common,
            streamId: String(++connections),
            accessLogType: AccessLogType.TcpConnectionEnd,
          },
          connectionProperties: { receivedBytes: 480n, sentBytes: 5300n },
        });
        log.send(message({ http }, who));
        log.send(message({ tcp: [tcp] }));
      }
    },
    close: () => client.close(),
  };
}

function sidecar(service: string): Parameters<typeof message>[1] {
  const metadata = { NAME: service, NAMESPACE: "bookinfo", WORKLOAD_NAME: workload(service), LABELS: labels(service) };
  return { logName: "mesh", node: { id: `sidecar~10.0.0.1~${service}.bookinfo~x`, metadata: metadata as never } };
}

function certificates(from: string, to: string): Part<Record<string, unknown>> {
  const certificate = (service: string) => ({ subjectAltName: [{ uri: `spiffe://${identity(service)}` }] });
  return { peerCertificateProperties: certificate(from), localCertificateProperties: certificate(to) };
}

/** The doors that take reports, by name. */
export const doors: ReadonlyMap<string, (hub: Hub) => Traffic> = new Map([
  ["Mixer's door", throughMixer],
  ["the stream door", throughStream],
  ["Envoy's access logs", throughAccessLog],
]);
