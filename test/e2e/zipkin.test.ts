import test from "ava";
import { createClient } from "../../src/client/index.ts";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { connect, unary, until } from "./clients.ts";
import { startHub } from "./hub.ts";
import { notRun } from "./programs.ts";
import { startZipkin, type ZipkinSpan } from "./zipkin-server.ts";

const started = await startZipkin();

const trace = "463ac35c9f6413ad48485a3953bb6124";

/** Two requests of a mesh of which each hop has a span of its own, in the headers, as Istio's proxies wrote them. */
const hops = [
  {
    from: "productpage-v1",
    to: "reviews-v1",
    span: "0000000000000a01",
    parent: "a2fb4a1d1a96d312",
    at: 10,
    ms: 50,
    code: 200,
  },
  {
    from: "reviews-v1",
    to: "ratings-v1",
    span: "0000000000000a02",
    parent: "0000000000000a01",
    at: 20,
    ms: 30,
    code: 503,
  },
] as const;

/** What the proxies at both sides of a hop report. */
function reportsOf({ from, to, span, parent, at, ms, code }: (typeof hops)[number]): Record<string, unknown>[] {
  const request = {
    "context.protocol": "http",
    "source.workload.name": from,
    "source.workload.namespace": "bookinfo",
    "source.ip": "10.0.0.1",
    "destination.workload.name": to,
    "destination.workload.namespace": "bookinfo",
    "destination.ip": "10.0.0.2",
    "destination.port": 9080,
    "destination.service.host": `${to.slice(0, -3)}.bookinfo.svc.cluster.local`,
    "request.headers": { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-parentspanid": parent, "x-b3-sampled": "1" },
    "request.method": "GET",
    "request.path": "/0?token=secret",
    "response.code": code,
  };
  const side = (kind: string, later: number): Record<string, unknown> => ({
    ...request,
    "context.reporter.kind": kind,
    "request.time": `2026-01-01T00:00:00.${String(at + later).padStart(3, "0")}Z`,
    "response.duration": `${ms - 2 * later}ms`,
  });
  return [side("outbound", 0), side("inbound", 1)];
}

if ("gap" in started) test("a real Zipkin server", (t) => notRun(t, started));
else {
  test.after.always(() => started.dispose());

  test("a real Zipkin server shows the trace of a mesh whole: parents, names, kinds, services and tags", async (t) => {
    const hub = await startHub({
      "weir.yaml": `
policies: ./policies
adapters:
  traces: { adapter: zipkin, endpoint: "http://127.0.0.1:${started.port}" }
`,
      "policies/traces.yaml": `
policy: traces
report:
  - span: mesh
    ids: shared
    operation: request.method + " " + destination.service.host
    attributes: { tier: '"back"' }
    to: traces
`,
    });
    t.teardown(() => hub.dispose());
    const client = createClient({ address: hub.grpc });
    t.teardown(() => client.close());
    await client.report(hops.flatMap(reportsOf) as Parameters<typeof client.report>[0]);

    let spans: readonly ZipkinSpan[] = [];
    await until(async () => (spans = (await started.trace(trace)) ?? []).length === 4);
    const [pageClient, reviewsServer, reviewsClient, ratingsServer] = spans as [
      ZipkinSpan,
      ZipkinSpan,
      ZipkinSpan,
      ZipkinSpan,
    ];
    t.deepEqual(
      spans.map(({ kind, name, localEndpoint, remoteEndpoint, timestamp, duration }) => [
        kind,
        name,
        localEndpoint.serviceName,
        remoteEndpoint?.serviceName,
        timestamp - Date.UTC(2026, 0, 1) * 1000,
        duration,
      ]),
      [
        ["CLIENT", "get reviews.bookinfo.svc.cluster.local", "productpage-v1", "reviews-v1", 10_000, 50_000],
        ["SERVER", "get reviews.bookinfo.svc.cluster.local", "reviews-v1", "productpage-v1", 11_000, 48_000],
        ["CLIENT", "get ratings.bookinfo.svc.cluster.local", "reviews-v1", "ratings-v1", 20_000, 30_000],
        ["SERVER", "get ratings.bookinfo.svc.cluster.local", "ratings-v1", "reviews-v1", 21_000, 28_000],
      ],
    );
    t.is(pageClient.parentId, hops[0].parent);
    t.is(reviewsServer.parentId, pageClient.id);
    t.is(reviewsServer.id, hops[0].span);
    t.is(reviewsClient.parentId, reviewsServer.id);
    t.is(ratingsServer.parentId, reviewsClient.id);
    t.is(ratingsServer.id, hops[1].span);
    t.deepEqual(pageClient.remoteEndpoint, { serviceName: "reviews-v1", ipv4: "10.0.0.2", port: 9080 });
    t.deepEqual(ratingsServer.tags, {
      "http.request.method": "GET",
      "http.response.status_code": "503",
      "url.path": "/0",
      "server.address": "ratings.bookinfo.svc.cluster.local",
      "server.port": "9080",
      "client.address": "10.0.0.1",
      "network.peer.address": "10.0.0.1",
      "error.type": "503",
      error: "503",
      "service.namespace": "bookinfo",
      tier: "back",
    });
    t.is(reviewsServer.tags!["error"], undefined);
    t.true((await started.services()).includes("ratings-v1"));
    t.false(hub.stderr().includes('"level":50'), hub.stderr());
  });

  test("a real Zipkin server shows the hub's own spans of a check under the span of the proxy that asked", async (t) => {
    const hub = await startHub({
      "weir.yaml": `
policies: ./policies
adapters:
  traces: { adapter: zipkin, endpoint: "http://127.0.0.1:${started.port}" }
  paths: { adapter: list, entries: [/admin], deny: true }
telemetry:
  traces: { to: traces, ratio: 0 }
`,
      "policies/admin.yaml": `
policy: admin
check:
  - name: no-admin
    ask: paths
    with: { value: request.path }
  - name: calls
    limit: 100/s
`,
    });
    t.teardown(() => hub.dispose());
    const client = connect(hub.grpc);
    t.teardown(() => client.close());
    const askedTrace = "0af7651916cd43dd8448eb211c80319c";
    const proxySpan = "b7ad6b7169203331";
    const ask = async (traceparent: string): Promise<boolean> => {
      const http = { method: "GET", path: "/items" };
      const message = CheckRequest.encode(CheckRequest.fromPartial({ attributes: { request: { http } } })).finish();
      const path = "/envoy.service.auth.v3.Authorization/Check";
      const { code, details, bytes } = await unary(client, path, message, 20_000, { traceparent });
      t.is(code, 0, details);
      return CheckResponse.decode(bytes).status?.code === 0;
    };
    t.true(await ask(`00-${"1".repeat(32)}-${proxySpan}-00`));
    t.true(await ask(`00-${askedTrace}-${proxySpan}-01`));

    let spans: readonly ZipkinSpan[] = [];
    await until(async () => (spans = (await started.trace(askedTrace)) ?? []).length >= 5);
    const called = (name: string): ZipkinSpan => spans.find((span) => span.name === name)!;
    const check = called("check");
    t.is(check.parentId, proxySpan);
    t.is(check.kind, "SERVER");
    t.is(check.localEndpoint.serviceName, "weir");
    t.is(check.tags?.["weir.allowed"], "true");
    t.regex(check.tags?.["weir.decision_id"] ?? "", /^.+$/);
    const above = spans.map(({ name, parentId }) => [name, spans.find(({ id }) => id === parentId)?.name]);
    t.deepEqual(above.sort(), [
      ["check", undefined],
      ["limits", "check"],
      ["memory quota", "limits"],
      ["paths check", "rules"],
      ["rules", "check"],
    ]);
    t.is(await started.trace("1".repeat(32)), undefined, "what the proxy does not keep is not kept");
    t.false(hub.stderr().includes('"level":50'), hub.stderr());
  });
}
