import { generateKeyPairSync, sign } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { judgeThrough, type Passage } from "./forward-auth.ts";
import { createAuthority } from "./certificates.ts";
import { connect, metric, post, unary, until } from "./clients.ts";
import { envoyProgram, rejects, startEnvoy, type Envoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { notRun, type Gap, type Program } from "./programs.ts";
import { ask, askHttp2, startService, type Seen, type Service } from "./proxied-service.ts";

const policies = `${forwardAuthPolicies}
---
policy: envoy
namespace: mall
match: destination.service.name == "shop"
check:
  - name: private
    deny: permission_denied
    when: request.url_path == "/private" || request.url_path.startsWith("/private/")
  - name: body
    deny: invalid_argument
    when: request.url_path == "/body" && request.body.contains("secret")
  - name: members
    deny: unauthenticated
    when: request.url_path == "/members"
    unless: request.auth.principal == "https://login.example/ann" && request.auth.claims["plan"] == "gold"
  - name: replaced
    headers: { request: { remove: [x-mine] } }
  - name: replaced-by
    headers: { request: { append: { x-mine: '"weir"' } } }
  - name: tells
    headers: { response: { set: { x-method: request.method, x-mode: '"weir"' }, append: { x-secret: '"told"' } } }
  - name: asks
    when: request.url_path == "/asked"
    headers: { query: { set: { plan: '"gold & more"' }, remove: [token] } }
  - name: per-key
    limit: 3/h
    by: request.headers["x-api-key"]
    when: request.url_path in ["/checked", "/both"]
  - name: per-tenant
    limit: 2/h
    at: ratelimit
    by: request.headers["x-tenant"]
    when: request.url_path == "/counted"
  - name: per-key-too
    limit: 3/h
    at: ratelimit
    by: request.headers["x-api-key"]
    when: request.url_path == "/both"
report:
  - metric: shop_requests_total
    type: counter
    labels:
      service: destination.service.name
      namespace: destination.namespace
      method: request.method
      path: request.url_path
      code: response.code
      flags: context.proxy_error_code
      protocol: context.protocol
      status: response.grpc_status
      tenant: request.headers["x-tenant"]
      kind: context.reporter.kind
`;

let hub: Hub;
let service: Service;
const programs = new Map<string, Program>();
const gaps = new Map<string, Gap>();
const envoys = new Map<string, Envoy>();

/** What `weir envoy` is told in this file. The timeout is for machines that do much else. */
const told = () => [
  ...["--policies", `${hub.folder}/policies`, "--hub", hub.grpc, "--service", "shop.mall"],
  ...["--upstream", `127.0.0.1:${service.port}`, "--upstream-protocol", "same", "--timeout", "10s"],
];

test.before(async () => {
  service = await startService();
  hub = await startHub({ "policies/all.yaml": policies });
  for (const version of envoyVersions) {
    const found = await envoyProgram(version);
    if ("gap" in found) gaps.set(version, found);
    else {
      programs.set(version, found);
      envoys.set(version, await startEnvoy(found, [...told(), "--raw-paths"]));
    }
  }
});

test.after.always(() => {
  for (const envoy of envoys.values()) envoy.dispose();
  hub?.dispose();
  service?.close();
});

/** What a test of one Envoy is given. Values that limits count by hold the version, so that counts are not shared. */
interface Given {
  readonly envoy: Envoy;
  readonly version: string;
}

/** A test for each Envoy; one that cannot be had is told of once. */
function withEnvoy(title: string, run: (t: ExecutionContext, given: Given) => Promise<void>): void {
  for (const version of envoyVersions) {
    test.serial(`Envoy ${version}: ${title}`, async (t) => {
      const envoy = envoys.get(version);
      if (envoy === undefined) notRun(t, gaps.get(version)!);
      else await run(t, { envoy, version });
    });
  }
}

/** Statuses of the same request, made again and again. */
async function statuses(envoy: Envoy, times: number, path: string, headers: Record<string, string>): Promise<number[]> {
  const found: number[] = [];
  while (found.length < times) found.push((await ask(envoy.port, path, { headers })).status);
  return found;
}

for (const given of forwardAuthCases) {
  withEnvoy(given.title, async (t, { envoy }) => {
    // Envoy joins the values of a header without a space.
    const text = (value: unknown) => (value === undefined ? undefined : String(value).replaceAll(", ", ","));
    const sameHeader: Passage["sameHeader"] = (came, expected, name) => t.is(text(came), text(expected), name);
    const { body, headers } = await judgeThrough(t, given, { ...envoy, service, sameHeader });
    const passed = given.status === 200 || given.path.startsWith("/status/");
    if (!passed) return;
    t.is(headers["x-method"], given.method ?? "GET", body);
    t.is(headers["x-mode"], "weir", "in place of the service's");
    t.is(headers["x-secret"], "s, told", "beside the service's");
  });
}

withEnvoy("query parameters are set and removed before the service gets them", async (t, { envoy }) => {
  const { url } = JSON.parse(
    (await ask(envoy.port, "/asked?plan=free&%70lan=a&token=t&tok%65n=u&page=2")).body,
  ) as Seen;
  const { pathname, searchParams } = new URL(url, "http://shop.example");
  t.is(pathname, "/asked");
  t.deepEqual([...searchParams].sort(), [
    ["page", "2"],
    ["plan", "gold & more"],
  ]);
});

withEnvoy("what is appended after a removal is all that the service gets", async (t, { envoy }) => {
  const { body } = await ask(envoy.port, "/page", { headers: { "x-mine": "caller" } });
  t.is((JSON.parse(body) as Seen).headers["x-mine"], "weir");
});

withEnvoy("a limit by header counts exactly, and says when there will be more", async (t, { envoy, version }) => {
  const key = { "x-api-key": `key-${version}` };
  t.deepEqual(await statuses(envoy, 5, "/checked", key), [200, 200, 200, 429, 429]);
  const { headers } = await ask(envoy.port, "/checked", { headers: key });
  t.regex(headers["retry-after"]!, /^\d+$/);
  t.regex(headers["ratelimit"] as string, /^"envoy\/per-key";r=0;t=\d+$/);
  t.is(headers["ratelimit-policy"], '"envoy/per-key";q=3;w=3600');
  t.deepEqual(await statuses(envoy, 1, "/checked", { "x-api-key": `other-${version}` }), [200]);
});

withEnvoy("the rate limit filter counts exactly, and says the same", async (t, { envoy, version }) => {
  const tenant = { "x-tenant": `tenant-${version}` };
  t.deepEqual(await statuses(envoy, 4, "/counted", tenant), [200, 200, 429, 429]);
  const { headers } = await ask(envoy.port, "/counted", { headers: tenant });
  t.regex(headers["retry-after"]!, /^\d+$/);
  t.regex(headers["ratelimit"] as string, /^"envoy\/per-tenant";r=0;t=\d+$/);
  // Without the header the descriptor lacks what the limit reads, and it does not apply.
  t.deepEqual(await statuses(envoy, 3, "/counted", {}), [200, 200, 200]);
});

withEnvoy("a request that both filters see is charged once by the limits of each", async (t, { envoy, version }) => {
  t.deepEqual(await statuses(envoy, 5, "/both", { "x-api-key": `both-${version}` }), [200, 200, 200, 429, 429]);
});

withEnvoy("both filters tell of their limits, and of a refusal the one that refuses", async (t, { version }) => {
  const own = await startHub({
    "policies/all.yaml": policies,
    "weir.yaml": "doors: { rateLimitFields: { style: both, on: always } }\n",
  });
  t.teardown(() => own.dispose());
  const args = ["--policies", join(own.folder, "policies"), "--hub", own.grpc, ...told().slice(4), "--attribute"];
  const envoy = await startEnvoy(programs.get(version)!, [...args, "destination.namespace=mall"]);
  t.teardown(envoy.dispose);
  const both = async () => {
    const { status, headers } = await ask(envoy.port, "/both", { headers: { "x-api-key": "a" } });
    const { ratelimit, "ratelimit-policy": policy, "x-ratelimit-remaining": remaining } = headers;
    const names = (field: unknown) => [...String(field).matchAll(/"envoy\/([\w-]+)"/g)].map((found) => found[1]).sort();
    return { status, limits: names(ratelimit), policies: names(policy), remaining };
  };
  const limits = ["per-key", "per-key-too"];
  for (const remaining of ["2", "1", "0"])
    t.deepEqual(await both(), { status: 200, limits, policies: limits, remaining }, remaining);
  t.is((await both()).status, 429);
});

withEnvoy("HTTP/2 is judged as HTTP/1.1 is", async (t, { envoy }) => {
  const got = await askHttp2(envoy.port, "/page");
  t.is(got.status, 200);
  t.is((JSON.parse(got.body) as Seen).version, "2.0");
  const refused = await askHttp2(envoy.port, "/admin");
  t.is(refused.status, 403);
  t.is(refused.body, "admins only");
});

withEnvoy("a gRPC call reaches the service, or ends with the rule's code and message", async (t, { envoy }) => {
  const client = connect(`127.0.0.1:${envoy.port}`);
  t.teardown(() => client.close());
  const allowed = await unary(client, "/shop.v1.Shop/Buy", Buffer.from("tea"));
  t.is(allowed.code, 0);
  t.is(allowed.bytes.toString(), "tea");
  const refused = await unary(client, "/admin/Buy", Buffer.from("tea"));
  t.is(refused.code, 7);
  t.is(refused.details, "admins only");
  const called = { protocol: "grpc", status: "0", path: "/shop.v1.Shop/Buy", code: "200" };
  await until(async () => (await metric(hub, "shop_requests_total", called)) > 0);
  const whole = { destination_service_name: "shop", request_protocol: "grpc", grpc_response_status: "0" };
  // A message each; while these are asked for, the call through the other Envoy may be counted.
  await until(async () => {
    const calls = await metric(hub, "istio_requests_total", whole);
    const requests = await metric(hub, "istio_request_messages_total", whole);
    const responses = await metric(hub, "istio_response_messages_total", whole);
    return calls > 0 && requests === calls && responses === calls;
  });
  t.pass();
});

withEnvoy("a body is read as far as rules may, and a larger one is refused where it is read", async (t, { envoy }) => {
  const status = async (body: string, path = "/body") => (await ask(envoy.port, path, { method: "POST", body })).status;
  t.is(await status("nothing to hide"), 200);
  t.is(await status("a secret"), 400);
  t.is(await status("x".repeat(64 * 1024)), 200);
  t.is(await status("x".repeat(64 * 1024 + 1)), 400);
  t.is(await status("x".repeat(200 * 1024), "/elsewhere"), 200);
});

/** Ways to write `/private`, and paths that only look like it. */
const written: readonly { path: string; refused: boolean }[] = [
  { path: "/private", refused: true },
  { path: "/private?x=1", refused: true },
  { path: "//private", refused: true },
  { path: "/./private", refused: true },
  { path: "/shop/../private", refused: true },
  { path: "/shop/%2e%2e/private", refused: true },
  { path: "/shop/%2E%2e/private", refused: true },
  { path: "/%70rivate", refused: true },
  { path: "/private/", refused: true },
  { path: "/private//users", refused: true },
  { path: "/private%2fusers", refused: false },
  { path: "/private;x=1", refused: true },
  { path: "/privateer", refused: false },
  { path: "/shop?next=/private", refused: false },
];

withEnvoy("a path that is written in another way gets the verdict of other doors", async (t, { envoy }) => {
  for (const { path, refused } of written) {
    t.is((await ask(envoy.port, path)).status, refused ? 403 : 200, path);
    const attributes = { "destination.service.name": "shop", "destination.namespace": "mall", "request.path": path };
    t.is((await post(hub, "/v1/check", { attributes })).json.allowed, !refused, path);
  }
});

withEnvoy("access logs become metrics with the labels of the request", async (t, { envoy, version }) => {
  const headers = { "x-tenant": `log-${version}` };
  await ask(envoy.port, "/logged?x=1", { method: "POST", body: "hello", headers });
  await ask(envoy.port, "/private", { headers });
  const common = { service: "shop", namespace: "mall", tenant: `log-${version}`, protocol: "http", kind: "inbound" };
  const passed = { ...common, method: "POST", path: "/logged", code: "200", flags: "-" };
  const refused = { ...common, method: "GET", path: "/private", code: "403", flags: "UAEX" };
  await until(async () => (await metric(hub, "shop_requests_total", refused)) > 0);
  t.is(await metric(hub, "shop_requests_total", passed), 1);
  t.is(await metric(hub, "shop_requests_total", refused), 1);
});

withEnvoy("its access log has the decision's id, the policies' version and the rules", async (t, { envoy }) => {
  await ask(envoy.port, "/private/decided");
  await until(() => envoy.stdout().includes("/private/decided"));
  const line = envoy
    .stdout()
    .split("\n")
    .find((text) => text.includes("/private/decided"))!;
  const entry = JSON.parse(line) as Record<string, unknown>;
  t.regex(String(entry["decision"]), /^[0-9a-f]{32}$/);
  t.regex(String(entry["policies"]), /^[0-9a-f]+$/);
  t.deepEqual(entry["rules"], ["envoy/private"]);
});

test.serial("claims of a token that Envoy has verified count, and no others", async (t) => {
  const found = programs.get(envoyVersions[0]);
  if (found === undefined) return notRun(t, gaps.get(envoyVersions[0])!);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const provider = {
    issuer: "https://login.example",
    payload_in_metadata: "jwt_payload",
    local_jwks: { inline_string: JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }) },
  };
  const verifier = {
    name: "envoy.filters.http.jwt_authn",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
      providers: { login: provider },
      rules: [
        {
          match: { prefix: "/" },
          requires: { requires_any: { requirements: [{ provider_name: "login" }, { allow_missing: {} }] } },
        },
      ],
    },
  };
  const edit = (config: any): void => {
    const [{ filters }] = config.static_resources.listeners[0].filter_chains;
    filters[0].typed_config.http_filters.unshift(verifier);
  };
  const envoy = await startEnvoy(found, told(), { edit });
  t.teardown(envoy.dispose);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = (claims: object) => {
    const text = `${part({ alg: "ES256", typ: "JWT" })}.${part({ iss: provider.issuer, ...claims })}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
  const status = async (authorization: string) =>
    (await ask(envoy.port, "/members", { headers: { authorization } })).status;
  t.is(await status(`Bearer ${token({ sub: "ann", plan: "gold" })}`), 200);
  t.is(await status(`Bearer ${token({ sub: "ann", plan: "free" })}`), 401);
  t.is(await status(`Bearer ${token({ sub: "bob", plan: "gold" })}`), 401);
  t.is((await ask(envoy.port, "/members")).status, 401);
});

/** Rules that read all that Envoy can be told to send. */
const readAll = `
policy: all
match: destination.service.name == "shop"
check:
  - name: sent
    deny: permission_denied
    when: >-
      request.body == "x" || source.certificate.subject == "x" || request.auth.claims["plan"] == "x" ||
      context.metadata["envoy.filters.http.rbac/engine"] == "x" || context.route_metadata["team/name"] == "x"
  - { name: by-header, limit: 1/s, at: ratelimit, by: 'request.headers["x-api-key"]' }
  - { name: by-query, limit: 1/s, at: ratelimit, by: 'request.query_params["q"]' }
  - { name: by-path, limit: 1/s, at: ratelimit, by: { path: request.url_path, method: request.method } }
  - { name: by-address, limit: 1/s, at: ratelimit, by: source.ip }
  - { name: by-caller, limit: 1/s, at: ratelimit, by: source.principal }
  - { name: by-claim, limit: 1/s, at: ratelimit, by: 'request.auth.claims["plan"]' }
  - { name: by-tenant, limit: 1/s, by: 'ratelimit.descriptor["tenant"]' }
report:
  - { metric: all_total, type: counter, labels: { a: 'request.headers["x-a"]', b: 'response.headers["x-b"]' } }
`;

test.serial("every Envoy takes whatever is printed", async (t) => {
  const authority = createAuthority();
  const { cert, key } = authority.issue();
  const folder = await writeFolder({
    "policies/all.yaml": readAll,
    "ca.pem": authority.cert,
    "c.pem": cert,
    "k.pem": key,
  });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [ca, own, secret] = ["ca.pem", "c.pem", "k.pem"].map((name) => join(folder, name)) as [string, string, string];
  const printed = [
    ["--descriptor", "tenant=header:x-tenant", "--fail-open"],
    ["--descriptor", "tenant=acme", "--ongoing", "10s"],
    ["--descriptor", "tenant=acme", "--upstream-protocol", "http2", "--direction", "outbound", "--json"],
    ["--descriptor", "tenant=a", "--tls-ca", ca, "--tls-cert", own, "--tls-key", secret, "--hub", "weir.mesh:9091"],
    ["--descriptor", "tenant=a", "--tls-ca", ca, "--tls-name", "spiffe://mesh/weir", "--raw-paths"],
    [
      "--descriptor",
      "tenant=a",
      "--listen-cert",
      own,
      "--listen-key",
      secret,
      "--listen-ca",
      ca,
      "--attribute",
      "destination.port=80",
    ],
    ["--descriptor", "tenant=a", "--fragment", "tcp-bootstrap", "--upstream", "[::1]:9000"],
  ];
  for (const args of printed) {
    const { stdout, stderr, code } = await runWeir(["envoy", ...args], { cwd: folder });
    t.is(stderr, "");
    t.is(code, 0);
    for (const found of programs.values()) t.is(await rejects(found, stdout), undefined, args.join(" "));
  }
});

test.serial("the service gets the path that was judged, unless raw paths are asked for", async (t) => {
  const found = programs.get(envoyVersions[0]);
  if (found === undefined) return notRun(t, gaps.get(envoyVersions[0])!);
  const envoy = await startEnvoy(found, told());
  t.teardown(envoy.dispose);
  for (const { path, refused } of written.filter(({ path }) => !path.includes("%2f")))
    t.is((await ask(envoy.port, path)).status, refused ? 403 : 200, path);
  const url = async (at: Envoy, path: string) => (JSON.parse((await ask(at.port, path)).body) as Seen).url;
  t.is(await url(envoy, "/shop/..//%70age"), "/page");
  t.is(await url(envoys.get(envoyVersions[0])!, "/shop/..//%70age"), "/shop/..//%70age");
  const redirected = await ask(envoy.port, "/shop%2fpage");
  t.is(redirected.status, 307);
  t.is(redirected.headers["location"], "/shop/page");
});
