import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { RateLimitRequest, RateLimitResponse } from "../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { CheckRequest, CheckResponse, Verdict } from "../../src/wire/gen/weir/v1/weir.ts";
import { descriptor } from "../wire/envoy/descriptor.ts";
import { hourAgo, type KeyedCertificate } from "./certificates.ts";
import { stream, unary, until } from "./clients.ts";
import { mainFile, runWeir, writeFolder } from "./hub.ts";
import { leashed } from "./leash.ts";
import {
  authority,
  billing,
  certificateFiles,
  clients,
  grpcClient,
  https,
  mixerCheck,
  policies,
  refusals,
  replaceFiles,
  secured,
  server,
  stranger,
  tls,
  web,
  weirYaml,
} from "./secured-hub.ts";

test.serial("a client uses its doors and no others, and every refusal reads alike", async (t) => {
  const hub = await secured(t, weirYaml({ clients }));
  const ask = (own: KeyedCertificate, path: string) => unary(grpcClient(t, hub, own), path, Buffer.alloc(0), 10_000);
  t.is((await ask(web, "/istio.mixer.v1.Mixer/Check")).code, 0);
  t.is((await ask(web, "/grpc.health.v1.Health/Check")).code, 0, "health is every client's");
  const told = await Promise.all([
    ask(web, "/weir.v1.Weir/Check"),
    ask(web, "/istio.mixer.v1.Mixer/Nothing"),
    ask(web, "/no.such.Service/Nothing"),
    ask(billing, "/istio.mixer.v1.Mixer/Check"),
    ask(stranger, "/istio.mixer.v1.Mixer/Check"),
    ask(stranger, "/grpc.health.v1.Health/Check"),
    ask(stranger, "/no.such.Service/Nothing"),
  ]);
  for (const { code, details } of told) t.deepEqual([code, details], [7, "WEIR_NOT_PERMITTED: not permitted"]);
  t.deepEqual([await refusals(hub, "grpc", "client"), await refusals(hub, "grpc", "door")], [3, 4]);
  await hub.saw("spiffe://mesh.example/ns/other/sa/web, other.example");

  const body = { attributes: {} };
  t.is((await https(hub.http, "/v1/check", { ...web, body })).status, 200);
  const answers = await Promise.all([
    https(hub.http, "/v1/check", { ...billing, body }),
    https(hub.http, "/v1/check", { ...stranger, body }),
    https(hub.http, "/nothing", { ...stranger, body }),
    https(hub.http, "/nothing", web),
  ]);
  const refusal = { error: { code: "WEIR_NOT_PERMITTED", message: "not permitted" } };
  for (const { status: code, text } of answers) t.deepEqual([code, JSON.parse(text)], [403, refusal]);
});

test.serial("a client named by DNS opens streams, in whichever case its certificate has the name", async (t) => {
  const hub = await secured(t, weirYaml({ clients }));
  const open = stream(grpcClient(t, hub, billing), "/weir.v1.Weir/Check", CheckResponse);
  open.send(CheckRequest.encode(CheckRequest.fromPartial({ index: 1n })).finish());
  t.is((await open.next()).decision?.verdict, Verdict.VERDICT_ALLOWED);
  t.is((await stream(grpcClient(t, hub, web), "/weir.v1.Weir/Check", CheckResponse).status).code, 7);
});

test.serial("an attribute beyond a client's refuses its call", async (t) => {
  const hub = await secured(t, weirYaml({ clients }));
  const ask = (attributes: object) => https(hub.http, "/v1/check", { ...web, body: { attributes } });
  t.is((await ask({ "request.path": "/x" })).status, 200);
  const refused = await ask({ "source.namespace": "shop" });
  t.deepEqual([refused.status, JSON.parse(refused.text).error.code], [403, "WEIR_NOT_PERMITTED"]);
  t.is(await refusals(hub, "http", "attribute"), 1);
});

test.serial("a named client asks about its domains and gives hits back there; others do neither", async (t) => {
  const grpc = `[
      { name: spiffe://mesh.example/ns/shop/*, doors: [ratelimit], domains: [edge], attributes: [request.headers] },
      { name: billing.shop.example, doors: [ratelimit], domains: [billing] }]`;
  const limits = `policy: p
check:
  - { name: keys, limit: 5/h, at: ratelimit, by: 'request.headers["x-key"]' }
  - { name: addresses, limit: 5/h, at: ratelimit, by: source.ip }
`;
  const hub = await secured(t, weirYaml({ clients: { ...clients, grpc } }), { "policies/limits.yaml": limits });
  const ask = async (own: KeyedCertificate, hits: number, domain = "edge", key = "request.headers.x-key") => {
    const hit = { hitsAddend: BigInt(Math.abs(hits)), isNegativeHits: hits < 0 };
    const message = RateLimitRequest.encode({ domain, hitsAddend: 0, descriptors: [descriptor({ [key]: "k" }, hit)] });
    const path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
    const { code, bytes } = await unary(grpcClient(t, hub, own), path, message.finish(), 10_000);
    return code === 0 ? RateLimitResponse.decode(bytes).statuses[0]!.limitRemaining : { code };
  };
  t.is(await ask(web, 4), 1);
  t.is(await ask(web, -2), 3);
  t.deepEqual(await ask(web, 1, "billing"), { code: 7 });
  t.deepEqual(await ask(billing, -1), { code: 7 });
  t.deepEqual(await ask(stranger, -1), { code: 7 });
  t.deepEqual(await ask(web, -1, "edge", "source.ip"), { code: 7 });
  t.is(await ask(web, 0), 3);
  t.deepEqual([await refusals(hub, "ratelimit", "domain"), await refusals(hub, "ratelimit", "attribute")], [2, 1]);
});

test.serial("clients are taken up with weir.yaml; connections of one whose entry has changed are closed", async (t) => {
  const hub = await secured(t, weirYaml({ clients }));
  const open = stream(grpcClient(t, hub, billing), "/weir.v1.Weir/Check", CheckResponse);
  open.send(CheckRequest.encode(CheckRequest.fromPartial({ index: 1n })).finish());
  await open.next();
  const kept = grpcClient(t, hub, web);
  t.is((await mixerCheck(kept)).code, 0);
  const grpc = clients.grpc.replace("billing.shop", "invoices.shop");
  await replaceFiles(hub, { "weir.yaml": weirYaml({ clients: { ...clients, grpc } }) });
  t.is((await open.status).code, 14);
  t.is((await mixerCheck(grpcClient(t, hub, billing))).code, 7);
  t.is((await mixerCheck(kept)).code, 0);
});

test.serial(
  "weir check and weir report call over TLS, with a certificate or by the system's authorities",
  async (t) => {
    const hub = await secured(t, weirYaml(), { "web.crt": web.cert, "web.key": web.key });
    const run = (...args: string[]) =>
      runWeir([...args, "--address", hub.grpc, "request.path=/x"], { cwd: hub.folder });
    const own = ["--ca", "certs/ca.crt", "--cert", "web.crt", "--key", "web.key"];
    for (const door of ["stream", "mixer"]) {
      const allowed = await run("check", ...own, "--door", door);
      t.is(allowed.code, 0, allowed.stderr);
    }
    t.is((await run("report", ...own)).code, 0);
    t.is((await run("check", "--tls")).code, 1);
    const refused = await run("check", "--ca", "certs/ca.crt");
    t.is(refused.code, 1);
    t.regex(refused.stderr, /^error: cannot call the hub at 127\.0\.0\.1:\d+: .*certificate required\n$/);
    t.regex((await run("check", "--cert", "web.crt")).stderr, /--cert and --key go together/);
    t.regex((await run("check", "--ca", "nothing.crt")).stderr, /nothing\.crt/);
  },
);

test.serial("the commands that weir serve prints call the hub over TLS as they stand", async (t) => {
  const folder = await writeFolder({
    "policies/ratings.yaml":
      "policy: ratings\ncheck:\n  - { name: paths, deny: permission_denied, when: request.path == '/x' }\n",
    "policies/ratings.test.yaml":
      "policy: ratings.yaml\ncases:\n  - { name: y, given: { request.path: /y }, expect: { allow: true } }\n  - { name: x, given: { request.path: /x }, expect: { deny: permission_denied } }\n",
    ...certificateFiles(authority.issue({ dns: ["hub.example"] })),
    "weir.yaml": weirYaml(),
  });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(...leashed(process.execPath, [mainFile, "serve", "--config", "weir.yaml"]), { cwd: folder });
  t.teardown(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await until(() => text.includes("-> refused"));
  t.regex(text, /gRPC doors +127\.0\.0\.1:\d+ \(TLS\)\n +HTTP doors +https:/);
  const commands = [...text.matchAll(/npx weir (check .*)/g)].map((m) => m[1]!.split(" "));
  const codes = await Promise.all(commands.map(async (args) => (await runWeir(args, { cwd: folder })).code));
  t.deepEqual(codes, [0, 2], text);
});

const annToken = "0123456789abcdef0123456789abcdef";
const bobToken = "bob-0123456789abcdef";

test.serial("the admin listener asks for tokens, takes new ones up and lets go of those that are gone", async (t) => {
  const hub = await secured(t, `listen: { admin: { address: "127.0.0.1:0", tokens: tokens } }`, {
    "tokens/ann": `${annToken}\n`,
  });
  const get = (path: string, token?: string) =>
    fetch(`http://${hub.admin}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  const askedBy = async (token: string) => ((await (await get("/status", token)).json()) as any).asked_by as unknown;
  t.is((await get("/healthz")).status, 200);
  t.is((await get("/readyz")).status, 200);
  for (const path of ["/status", "/metrics", "/nothing", "/"]) {
    for (const token of [undefined, "wrong-wrong-wrong-wrong", "", `${annToken}x`]) {
      const answer = await get(path, token);
      t.is(answer.status, 401);
      t.is(answer.headers.get("www-authenticate"), 'Bearer realm="weir"');
      t.is(((await answer.json()) as any).error.code, "WEIR_UNAUTHENTICATED");
    }
  }
  t.is(await askedBy(annToken), "ann");
  t.is((await get("/nothing", annToken)).status, 404);

  const hash = createHash("sha256").update(bobToken).digest("hex");
  await writeFile(join(hub.folder, "tokens/bob"), `sha256:${hash}`);
  await until(async () => (await get("/status", bobToken)).status === 200);
  t.is(await askedBy(bobToken), "bob");
  t.is((await get("/status", `sha256:${hash}`)).status, 401, "the hash of a token is none");
  await rm(join(hub.folder, "tokens/ann"));
  await until(async () => (await get("/status", annToken)).status === 401);
  t.is(await askedBy(bobToken), "bob");
  await writeFile(join(hub.folder, "tokens/bob"), "short");
  await hub.saw("a token cannot be used: it lets nobody in");
  t.is((await get("/status", bobToken)).status, 401);
});

test.serial("pages may be open, and none need be", async (t) => {
  const hub = await secured(t, `listen: { admin: { address: "127.0.0.1:0", tokens: tokens, open: [/metrics] } }`, {
    "tokens/ann": annToken,
  });
  t.is((await fetch(`http://${hub.admin}/metrics`)).status, 200);
  t.is((await fetch(`http://${hub.admin}/readyz`)).status, 401);
});

test.serial("the admin listener asks for the certificates of those that it names", async (t) => {
  const named = "[{ name: spiffe://mesh.example/ns/shop/* }]";
  const hub = await secured(t, `listen: { admin: { address: "127.0.0.1:0", tls: ${tls()}, clients: ${named} } }`);
  t.is((await https(hub.admin, "/readyz", web)).status, 200);
  t.is((await https(hub.admin, "/readyz", stranger)).status, 403);
  await t.throwsAsync(https(hub.admin, "/readyz"));
});

const expired = authority.issue({ notBefore: new Date(Date.now() - 9e6), notAfter: hourAgo() });

/** What is wrong with files, and what is said of it at start and by weir validate. */
const mistakes: readonly (readonly [name: string, files: Record<string, string>, said: RegExp, exit: number])[] = [
  [
    "a file without a certificate",
    { "certs/tls.crt": "" },
    /weir\.yaml:2:\d+: error\[WEIR_CERTIFICATE\]: the file holds no PEM certificate/,
    1,
  ],
  [
    "a key of another certificate",
    { "certs/tls.key": authority.issue().key },
    /weir\.yaml:3:\d+: error\[WEIR_CERTIFICATE\]: the key is not the one of the certificate/,
    1,
  ],
  [
    "files that were taken for each other",
    { "certs/tls.crt": server.key, "certs/tls.key": server.cert },
    /this file holds a private key[^]*this file holds a certificate/,
    1,
  ],
  ["authorities that are none", { "certs/ca.crt": "-" }, /ca: certs\/ca\.crt[^]*PEM begins with/, 1],
  [
    "a certificate that has expired",
    certificateFiles(expired),
    /warning\[WEIR_CERTIFICATE\]: the certificate expired/,
    0,
  ],
  ["a token that can be guessed", { "tokens/ann": "1234" }, /error\[WEIR_TOKEN\]: .*ann: a token has 16 characters/, 1],
  ["two people with one token", { "tokens/ann": annToken, "tokens/bob": annToken }, /this is the token of ann too/, 1],
];

for (const [name, changed, said, exit] of mistakes) {
  test.serial(`${name}: shown where weir.yaml names it`, async (t) => {
    const config = weirYaml({ admin: '{ address: "127.0.0.1:0", tokens: tokens }' });
    const folder = await writeFolder({
      ...policies,
      ...certificateFiles(),
      "tokens/eve": "0123456789abcdef",
      ...changed,
      "weir.yaml": config,
    });
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const validated = await runWeir(["validate", "--config", "weir.yaml"], { cwd: folder });
    t.regex(validated.stdout + validated.stderr, said);
    t.is(validated.code, exit);
    if (exit === 0) return;
    const started = await runWeir(["serve", "--config", "weir.yaml"], { cwd: folder });
    t.is(started.code, 1);
    t.regex(started.stderr, said);
  });
}

test.serial("a file that is not there is a mistake too", async (t) => {
  const config = weirYaml({ tls: "{ cert: certs/tls.crt, key: certs/no.key }" });
  const folder = await writeFolder({ ...policies, ...certificateFiles(), "weir.yaml": config });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const { stderr, stdout, code } = await runWeir(["validate", "--config", "weir.yaml"], { cwd: folder });
  t.regex(
    stdout + stderr,
    /weir\.yaml:2:\d+: error\[WEIR_CERTIFICATE\]: .*no\.key could not be read: there is no such file/,
  );
  t.is(code, 1);
});
