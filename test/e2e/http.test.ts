import { request as httpRequest } from "node:http";
import test from "ava";
import { connect, metric, post, unary } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";
import { mixerCheck } from "./mixer-wire.ts";

const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    message: acl answers only web
    http: { status: 451, body: no, headers: { x-why: law } }
---
policy: types
match: destination.service.name == "types"
check:
  - name: echo
    headers:
      request:
        set:
          x-ip: string(source.ip)
          x-users: string(tenant.users)
          x-time: string(request.time)
          x-duration: string(response_budget.time)
          x-mtls: string(connection.mtls)
          x-key: request.headers["x-key"]
          x-plan: tenant.plan
---
policy: limits
match: destination.service.name == "limits"
check:
  - name: hourly
    limit: 10/h
    by: { who: source.principal }
---
policy: counted
report:
  - metric: test_requests_total
    type: counter
    labels: { path: request.path, code: response.code }
  - log: access
    fields: { path: request.path }
`;

let hub: Hub;

test.before(async () => {
  hub = await startHub({
    "weir.yaml":
      "policies: ./policies\nattributes: { tenant.plan: string, tenant.users: int64, response_budget.time: duration }\nadapters: { partners: { adapter: list, entries: [hush-hush] } }\n",
    "policies/all.yaml": policies,
  });
});

test.after.always(() => hub?.dispose());

const check = (attributes: unknown, rest: object = {}) => post(hub, "/v1/check", { attributes, ...rest });

const page = async (path: string): Promise<any> => (await fetch(`http://${hub.admin}${path}`)).json();

test("an allowed check is HTTP 200 with the whole decision", async (t) => {
  const { status, json, headers } = await check({ "destination.service.name": "acl", "source.namespace": "web" });
  t.is(status, 200);
  t.is(headers.get("content-type"), "application/json");
  const { id, version, ...rest } = json;
  t.regex(id, /^[0-9a-f]{32}$/);
  t.is(version, (await page("/status")).policies.version);
  t.deepEqual(rest, {
    allowed: true,
    code: "ok",
    message: "",
    rules: [],
    http: null,
    headers: { request: [], response: [] },
    quotas: {},
    limits: [],
    valid_for: "5s",
    valid_uses: 10_000,
    referenced: ["destination.service.name", "source.namespace"],
  });
});

test("so is a refused one, with its rules and what to answer", async (t) => {
  const { status, json } = await check({ "destination.service.name": "acl" });
  t.is(status, 200);
  t.like(json, {
    allowed: false,
    code: "permission_denied",
    message: "acl answers only web",
    rules: ["acl/only-web"],
    referenced: ["destination.service.name", "-source.namespace"],
  });
  t.deepEqual(json.http, { status: 451, body: "no", headers: [{ name: "x-why", value: "law" }] });
});

const values = {
  "source.ip": "2001:DB8:0::1",
  "tenant.users": 9007199254740991,
  "request.time": "2026-01-02T03:04:05.5Z",
  "response_budget.time": "1.5s",
  "connection.mtls": true,
  "request.headers": { "x-key": "k" },
  "tenant.plan": "gold",
};

const read: Readonly<Record<string, string>> = {
  "x-ip": "2001:db8::1",
  "x-users": "9007199254740991",
  "x-time": "2026-01-02T03:04:05.5Z",
  "x-duration": "1.5s",
  "x-mtls": "true",
  "x-key": "k",
  "x-plan": "gold",
};

function headersOf(json: any): Record<string, string> {
  return Object.fromEntries(json.headers.request.map(({ name, value }: any) => [name, value]));
}

test("JSON values take the type of their attribute", async (t) => {
  const { json } = await check({ "destination.service.name": "types", ...values });
  t.deepEqual(headersOf(json), { ...read });
});

test("values may say their types, and 64 bits may come as text", async (t) => {
  const types: Record<string, string> = {
    "source.ip": "ip",
    "tenant.users": "int64",
    "request.time": "timestamp",
    "response_budget.time": "duration",
    "connection.mtls": "bool",
    "request.headers": "string_map",
    "tenant.plan": "string",
  };
  const typed = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { type: types[name], value }]));
  const { status, json } = await check({
    "destination.service.name": "types",
    ...typed,
    "tenant.users": { type: "int64", value: "9223372036854775807" },
  });
  t.is(status, 200, JSON.stringify(json));
  t.deepEqual(headersOf(json), { ...read, "x-users": "9223372036854775807" });
});

test("named quotas are taken by amount, best effort and deduplication id", async (t) => {
  const attributes = { "destination.service.name": "limits", "source.principal": "ann" };
  const ask = async (quotas: unknown, dedup_id = "") => (await check(attributes, { quotas, dedup_id })).json;
  const first = await ask({ hourly: 8 }, "one");
  t.like(first.quotas.hourly, { granted: 8, code: "ok" });
  t.like(first.limits[0], { rule: "limits/hourly", allowed: true, amount: 10, window: "3600s" });
  t.is((await ask({ hourly: 8 }, "one")).quotas.hourly.granted, 8);
  const refused = await ask({ hourly: 8 });
  t.like(refused.quotas.hourly, { granted: 0, code: "resource_exhausted" });
  t.true(refused.allowed);
  t.is((await ask({ "limits/hourly": { amount: 8, best_effort: true } })).quotas["limits/hourly"].granted, 2);
});

test("a check that names no quota is refused by a limit that is used up, and says when to come again", async (t) => {
  const attributes = { "destination.service.name": "limits", "source.principal": "bob" };
  for (let i = 0; i < 10; i++) t.true((await check(attributes)).json.allowed);
  const { json } = await check(attributes);
  t.like(json, { allowed: false, code: "resource_exhausted", rules: ["limits/hourly"], valid_for: "0s" });
  t.is(json.http.status, 429);
  t.regex(json.limits[0].retry_after, /^\d+(\.\d+)?s$/);
});

test("reports are counted and logged; a wrong record costs only itself", async (t) => {
  const { status, json } = await post(hub, "/v1/report", {
    reports: [
      { "request.path": "/r/1", "response.code": 200 },
      { "request.path": 5 },
      { attributes: { "request.path": "/r/2", "response.code": 404 } },
      "nothing",
      { "request.pth": "/x" },
    ],
  });
  t.is(status, 200);
  t.like(json, { taken: 2, not_taken: 0, broken: 3 });
  t.deepEqual(
    json.errors.map(({ index, code }: any) => [index, code]),
    [
      [1, "WEIR_REQUEST_ATTRIBUTE"],
      [3, "WEIR_REQUEST_MALFORMED"],
      [4, "WEIR_REQUEST_ATTRIBUTE"],
    ],
  );
  t.regex(json.errors[2].message, /did you mean request\.path\?/);
  t.is(await metric(hub, "test_requests_total", { path: "/r/1", code: "200" }), 1);
  t.is(await metric(hub, "test_requests_total", { path: "/r/2", code: "404" }), 1);
  await hub.saw('"path":"/r/2"');
});

const json = { "content-type": "application/json" };
const mistakes: readonly {
  title: string;
  path?: string;
  body: string;
  headers?: Record<string, string>;
  status: number;
  code: string;
  message: RegExp;
}[] = [
  {
    title: "text that is no JSON",
    body: '{"attributes": {"request.path": /x}}',
    status: 400,
    code: "WEIR_REQUEST_MALFORMED",
    message: /line 1, column 33: expected a value, and got "\/"/,
  },
  { title: "no body", body: "", status: 400, code: "WEIR_REQUEST_MALFORMED", message: /the body ended/ },
  { title: "a list", body: "[]", status: 400, code: "WEIR_REQUEST_MALFORMED", message: /JSON object/ },
  {
    title: "an unknown key",
    body: '{"atributes": {}}',
    status: 400,
    code: "WEIR_REQUEST_MALFORMED",
    message: /did you mean attributes\?/,
  },
  {
    title: "an unknown attribute",
    body: '{"attributes": {"request.paht": "/"}}',
    status: 400,
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /did you mean request\.path\?/,
  },
  {
    title: "a value of another type",
    body: '{"attributes": {"source.ip": "10.0.0.300"}}',
    status: 400,
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /source\.ip is of type ip, and "10\.0\.0\.300" is not/,
  },
  {
    title: "a type that the attribute does not have",
    body: '{"attributes": {"source.ip": {"type": "string", "value": "10.0.0.3"}}}',
    status: 400,
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /source\.ip is of type ip/,
  },
  {
    title: "a negative amount",
    body: '{"quotas": {"hourly": -1}}',
    status: 400,
    code: "WEIR_REQUEST_QUOTA",
    message: /hourly is a whole number of 0 or more/,
  },
  {
    title: "a fraction",
    body: '{"quotas": {"hourly": 1.5}}',
    status: 400,
    code: "WEIR_REQUEST_QUOTA",
    message: /whole number/,
  },
  {
    title: "another media type",
    body: "attributes: {}",
    headers: { "content-type": "application/yaml" },
    status: 415,
    code: "WEIR_MEDIA_TYPE",
    message: /application\/json/,
  },
  {
    title: "reports that are no list",
    path: "/v1/report",
    body: '{"reports": {}}',
    status: 400,
    code: "WEIR_REQUEST_MALFORMED",
    message: /list of records/,
  },
  { title: "another path", path: "/v1/chek", body: "{}", status: 404, code: "WEIR_NOT_FOUND", message: /path/ },
];

for (const { title, path = "/v1/check", body, headers = json, status, code, message } of mistakes) {
  test(`${title} is ${status} and says what is wrong`, async (t) => {
    const answer = await post(hub, path, body, headers);
    t.is(answer.status, status);
    t.is(answer.json.error.code, code);
    t.regex(answer.json.error.message, message);
  });
}

test("another method is 405 and names those that are there", async (t) => {
  const response = await fetch(`http://${hub.http}/v1/check`);
  t.is(response.status, 405);
  t.is(response.headers.get("allow"), "POST");
});

test("the OpenAPI description is served and describes what is answered", async (t) => {
  const response = await fetch(`http://${hub.http}/openapi.json`);
  t.is(response.status, 200);
  const api = (await response.json()) as any;
  t.regex(api.openapi, /^3\./);
  t.deepEqual(Object.keys(api.paths).sort(), [
    "/openapi.json",
    "/v1/check",
    "/v1/limits/refund",
    "/v1/limits/release",
    "/v1/limits/renew",
    "/v1/report",
  ]);
  const resolve = (schema: any): any =>
    schema.$ref === undefined
      ? schema
      : schema.$ref
          .slice(2)
          .split("/")
          .reduce((at: any, key: string) => at[key], api);
  const schema = (path: string, status: string) =>
    resolve(resolve(api.paths[path].post.responses[status]).content["application/json"].schema);
  const decision = await check({ "destination.service.name": "acl" });
  t.deepEqual(Object.keys(schema("/v1/check", "200").properties).sort(), Object.keys(decision.json).sort());
  const wrong = await post(hub, "/v1/check", "{");
  t.deepEqual(Object.keys(schema("/v1/check", "400").properties), Object.keys(wrong.json));
});

const pages: readonly { path: string; type: RegExp; holds: RegExp }[] = [
  { path: "/", type: /text\/plain/, holds: /\/metrics/ },
  { path: "/healthz", type: /json/, holds: /"ok"/ },
  { path: "/readyz", type: /json/, holds: /"ready": true/ },
  { path: "/metrics", type: /text\/plain; version=0\.0\.4/, holds: /^weir_build_info\{/m },
  { path: "/status", type: /json/, holds: /"ok": true/ },
  { path: "/policies", type: /json/, holds: /"id": "acl\/only-web"/ },
  { path: "/adapters", type: /json/, holds: /"name": "partners"/ },
  { path: "/graph", type: /json/, holds: /"edges": \[/ },
  { path: "/limits", type: /json/, holds: /"limits": \[/ },
  { path: "/refusals", type: /json/, holds: /"refusals": \[/ },
  { path: "/version", type: /json/, holds: /"version": "\d+\.\d+\.\d+"/ },
];

test("every page of the admin listener is there, and the first one lists them all", async (t) => {
  for (const { path, type, holds } of pages) {
    const response = await fetch(`http://${hub.admin}${path}`);
    t.is(response.status, 200, path);
    t.regex(response.headers.get("content-type")!, type, path);
    const body = await response.text();
    t.regex(body, holds, path);
    if (type.test("json")) t.notThrows(() => JSON.parse(body) as unknown, path);
  }
  const index = await (await fetch(`http://${hub.admin}/`)).text();
  t.deepEqual(
    [...index.matchAll(/^(\/\S*) /gm)].map((m) => m[1]),
    pages.map(({ path }) => path),
  );
});

test("the status page names listeners, policies and the last reload", async (t) => {
  const status = await page("/status");
  t.deepEqual(status.listeners, { grpc: hub.grpc, http: hub.http, admin: hub.admin });
  t.like(status.policies, { policies: 4 + 3, check_rules: 3, report_rules: 2 + 10 });
  t.like(status.last_reload, { ok: true, problems: [] });
  t.false(status.draining);
});

test("scrapers that ask for OpenMetrics get it", async (t) => {
  const accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
  const response = await fetch(`http://${hub.admin}/metrics`, { headers: { accept } });
  t.regex(response.headers.get("content-type")!, /openmetrics-text/);
  t.true((await response.text()).endsWith("# EOF\n"));
});

test("calls and decisions are counted by door and outcome", async (t) => {
  const calls = () => metric(hub, "weir_calls_total", { door: "http", method: "report", code: "415" });
  const before = await calls();
  await post(hub, "/v1/report", "x", { "content-type": "text/plain" });
  t.is(await calls(), before + 1);
  t.true((await metric(hub, "weir_decisions_total", { outcome: "refused" })) > 0);
  t.true((await metric(hub, "process_resident_memory_bytes")) > 1e6);
});

test("no door is served on the admin listener, and no page of it on the doors'", async (t) => {
  for (const path of ["/v1/check", "/v1/report"]) {
    const response = await fetch(`http://${hub.admin}${path}`, { method: "POST", headers: json, body: "{}" });
    t.is(response.status, 404, path);
  }
  t.is((await fetch(`http://${hub.admin}/openapi.json`)).status, 404);
  for (const { path } of pages) t.is((await fetch(`http://${hub.http}${path}`)).status, 404, path);
  const client = connect(hub.admin);
  t.teardown(() => client.close());
  t.not((await unary(client, mixerCheck, new Uint8Array(), 5000)).code, 0);
  for (const { path } of pages) {
    const answer = await new Promise((resolve) => {
      const call = httpRequest(`http://${hub.grpc}${path}`, (response) => resolve(response.statusCode));
      call.once("error", () => resolve("no HTTP/1"));
      call.end();
    });
    t.is(answer, "no HTTP/1", path);
  }
});

test("the admin listener changes nothing: it takes GET and HEAD", async (t) => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const response = await fetch(`http://${hub.admin}/policies`, { method });
    t.is(response.status, 405);
    t.is(response.headers.get("allow"), "GET, HEAD");
  }
  t.is((await fetch(`http://${hub.admin}/metrics`, { method: "HEAD" })).status, 200);
});
