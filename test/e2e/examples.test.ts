import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { metric, post } from "./clients.ts";
import { mainFile, projectRoot, runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { leashed } from "./leash.ts";

const config = join(projectRoot, "policies/weir.yaml");

let hub: Hub;

test.before(async () => {
  hub = await startHub({}, { args: ["--config", config, "--policies", join(projectRoot, "policies/bookinfo")] });
});

test.after.always(() => hub?.dispose());

test("npm start builds a clone that was never built, serves the example policies and hands on the signals", async (t) => {
  t.timeout(300_000);
  const clone = await writeFolder({});
  t.teardown(() => rmSync(clone, { recursive: true, force: true }));
  for (const name of readdirSync(projectRoot).filter(
    (each) => !["dist", "node_modules", ".cache", ".git"].includes(each),
  ))
    cpSync(join(projectRoot, name), join(clone, name), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(clone, "node_modules"));
  const free = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const npm = spawn(...leashed("npm", ["start", "--", ...free], "TERM"), { cwd: clone });
  t.teardown(() => npm.kill("SIGTERM"));
  const ended = once(npm, "close");
  let out = "";
  for await (const chunk of npm.stdout) {
    out += String(chunk);
    if (out.includes("-> refused")) break;
  }
  const [allow, deny] = [...out.matchAll(/npx weir (check .*)/g)].map((found) => found[1]!.split(" "));
  t.is((await runWeir(allow!)).code, 0, out);
  t.is((await runWeir(deny!)).code, 2);
  npm.kill("SIGTERM");
  t.deepEqual(await ended, [0, null]);
});

test("every policy has its tests", (t) => {
  const files = readdirSync(join(projectRoot, "policies"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.replaceAll("\\", "/"));
  const policies = files.filter((file) => !file.endsWith(".test.yaml") && file !== "weir.yaml");
  t.true(policies.length >= 6);
  const untested = policies.filter((file) => !files.includes(file.replace(/\.yaml$/, ".test.yaml")));
  t.deepEqual(untested, []);
});

test("weir test passes for them, and its cases reach every rule", async (t) => {
  const { code, stdout } = await runWeir(["test", "--json", "policies"]);
  t.is(code, 0, stdout);
  const run = JSON.parse(stdout);
  t.is(run.failed, 0);
  t.true(run.passed > 30);
  t.deepEqual(run.unreached, []);
});

test("weir validate finds nothing in them", async (t) => {
  const { code, stdout, stderr } = await runWeir(["validate", "--config", config]);
  t.is(code, 0);
  t.is(stderr, "");
  t.regex(stdout, /^14 policies with 25 rules are fine \(version [0-9a-f]+\)\n$/);
});

test("the first lines say where it listens and what is loaded, with two commands whose answers are as told", async (t) => {
  const free = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const child = spawn(...leashed(process.execPath, [mainFile, "serve", "--config", "policies/weir.yaml", ...free]), {
    cwd: projectRoot,
  });
  t.teardown(() => child.kill("SIGKILL"));
  let out = "";
  for await (const chunk of child.stdout) {
    out += String(chunk);
    if (out.includes("-> refused")) break;
  }
  t.regex(
    out,
    /gRPC doors +127\.0\.0\.1:\d+\n +HTTP doors +http:\/\/127\.0\.0\.1:\d+\n +admin +http:\/\/127\.0\.0\.1:\d+\n/,
  );
  for (const name of ["ratings-access", "productpage-limits", "istio-http-metrics"])
    t.true(out.includes(`    ${name} `));
  const [allow, deny] = [...out.matchAll(/npx weir (check .*)/g)].map((found) => found[1]!.split(" "));
  t.is((await runWeir(allow!)).code, 0);
  t.is((await runWeir(deny!)).code, 2);
});

const to = (service: string, rest: object) => ({
  "destination.service.name": service,
  "destination.namespace": "bookinfo",
  "connection.mtls": true,
  ...rest,
});
const account = (name: string) => ({ "source.principal": `cluster.local/ns/bookinfo/sa/bookinfo-${name}` });

const check = async (attributes: object, rest: object = {}) =>
  (await post(hub, "/v1/check", { attributes, ...rest })).json;

test("an access list: ratings answers only reviews", async (t) => {
  t.true((await check(to("ratings", account("reviews")))).allowed);
  const refused = await check(to("ratings", account("productpage")));
  t.like(refused, { code: "permission_denied", rules: ["ratings-access/only-reviews"], valid_for: "30s" });
});

test("a list check: blocked networks do not reach the product page, by IPv4 and IPv6", async (t) => {
  for (const [ip, allowed] of [
    ["198.51.100.7", true],
    ["192.0.2.77", false],
    ["2001:db8:bad::1", false],
    ["::ffff:192.0.2.1", false],
  ] as const) {
    const answer = await check(to("productpage", { "source.ip": ip, "request.auth.principal": `list-${ip}` }));
    t.is(answer.allowed, allowed, ip);
    if (!allowed) t.deepEqual(answer.rules, ["productpage-blocklist/blocked-networks"]);
  }
});

test("rate limits: a user has a burst of ten", async (t) => {
  const ann = to("productpage", { "source.ip": "198.51.100.7", "request.auth.principal": "ann" });
  const answers = await Promise.all(Array.from({ length: 40 }, () => check(ann)));
  const allowed = answers.filter((answer) => answer.allowed).length;
  // Ten, and what five a second give back while the forty are asked.
  t.true(allowed >= 10 && allowed < 40, `${allowed} of 40`);
  const refused = answers.find((answer) => !answer.allowed);
  t.like(refused, { code: "resource_exhausted", message: "slow down", rules: ["productpage-limits/per-user"] });
  t.is(refused.http.status, 429);
});

test("header operations: the plan is set from the token and the server's name is hidden", async (t) => {
  const { headers } = await check(
    to("productpage", {
      "source.ip": "198.51.100.7",
      "request.auth.principal": "headers",
      "request.auth.claims": { plan: "gold" },
    }),
  );
  t.deepEqual(headers.request, [
    { op: "set", name: "x-mesh-plan", value: "gold" },
    { op: "remove", name: "x-debug" },
  ]);
  t.deepEqual(headers.response, [
    { op: "set", name: "x-content-type-options", value: "nosniff" },
    { op: "set", name: "server", value: "bookinfo" },
  ]);
});

test("a policy that observes refuses nobody and is counted", async (t) => {
  const observed = () =>
    metric(hub, "weir_rule_refusals_total", { rule: "require-mtls/proven-callers", mode: "observe" });
  const before = await observed();
  t.true((await check({ ...to("ratings", account("reviews")), "connection.mtls": false })).allowed);
  t.is(await observed(), before + 1);
});

test("a report becomes Istio's standard metrics and a line of the access log", async (t) => {
  const record = {
    ...to("ratings", account("reviews")),
    "context.protocol": "http",
    "context.reporter.kind": "inbound",
    "source.workload.name": "reviews-v3",
    "request.method": "GET",
    "request.url_path": "/ratings/e2e",
    "request.size": 10,
    "response.code": 200,
    "response.duration": "3ms",
    "response.size": 48,
  };
  t.is((await post(hub, "/v1/report", { reports: [record, record] })).json.taken, 2);
  const labels = { source_workload: "reviews-v3", destination_service_name: "ratings", response_code: "200" };
  t.is(await metric(hub, "istio_requests_total", labels), 2);
  t.is(await metric(hub, "istio_request_duration_milliseconds_sum", labels), 6);
  t.is(await metric(hub, "istio_request_duration_milliseconds_bucket", { ...labels, le: "5" }), 2);
  t.is(await metric(hub, "istio_request_bytes_sum", labels), 20);
  t.is(await metric(hub, "istio_response_bytes_sum", labels), 96);
  await hub.saw("/ratings/e2e");
  const line = hub
    .stdout()
    .split("\n")
    .find((text) => text.includes("/ratings/e2e"))!;
  t.like(JSON.parse(line), { method: "GET", path: "/ratings/e2e", code: 200, mtls: true });
});
