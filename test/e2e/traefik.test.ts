import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { until } from "./clients.ts";
import { judgeThrough } from "./forward-auth.ts";
import { freePort } from "./free-port.ts";
import { startHub, writeFolder, type Hub } from "./hub.ts";
import { ask, startProxy, startService, type Proxy, type Service } from "./proxied-service.ts";
import { traefikOfDocs } from "./recipes.ts";

// Traefik comes in no package that tests may use, and to build it takes ten minutes. Where `TRAEFIK_BIN` says where one
// is, everything here runs through it too. What stands in for it does what the page of its ForwardAuth says and what
// version 3 does: https://doc.traefik.io/traefik/middlewares/http/forwardauth/

const hopByHop = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"];

interface ForwardAuth {
  readonly address: string;
  readonly authResponseHeaders: readonly string[];
  readonly trustForwardHeader: boolean;
  readonly preserveLocationHeader: boolean;
}

/** Asks the hub with the caller's headers, and copies what comes back as `authResponseHeaders` says. */
async function forwardAuth(asked: IncomingMessage, settings: ForwardAuth) {
  const { address, authResponseHeaders, preserveLocationHeader } = settings;
  const headers: Record<string, string | string[] | undefined> = { ...asked.headers };
  for (const name of [...hopByHop, "host", "content-length"]) delete headers[name];
  Object.assign(headers, {
    "x-forwarded-for": asked.socket.remoteAddress,
    "x-forwarded-method": asked.method,
    "x-forwarded-proto": "http",
    "x-forwarded-host": asked.headers.host,
    "x-forwarded-uri": asked.url,
  });
  const sent = request(address, { method: "GET", headers, agent: false }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const status = answer.statusCode!;
  if (status < 200 || status > 299) {
    const { location } = answer.headers;
    if (location !== undefined && !preserveLocationHeader) answer.headers.location = new URL(location, address).href;
    return { answer };
  }
  answer.resume();
  const forwarded: Record<string, string | string[] | undefined> = { ...asked.headers };
  for (const name of authResponseHeaders.map((each) => each.toLowerCase())) {
    delete forwarded[name];
    if (answer.headers[name] !== undefined) forwarded[name] = answer.headers[name];
  }
  return { forwarded };
}

async function proxied(asked: IncomingMessage, response: ServerResponse, settings: ForwardAuth, port: number) {
  const { answer, forwarded } = await forwardAuth(asked, settings);
  let from = answer;
  if (from === undefined) {
    const { method, url: path } = asked;
    const sent = request({ host: "127.0.0.1", port, method, path, headers: forwarded!, agent: false });
    asked.pipe(sent);
    [from] = (await once(sent, "response")) as [IncomingMessage];
  }
  const headers = { ...from.headers };
  for (const name of hopByHop) delete headers[name];
  response.writeHead(from.statusCode!, headers);
  from.pipe(response);
}

const files = { "policies/all.yaml": forwardAuthPolicies, "weir.yaml": "policies: ./policies\n" };

/** Starts what stands in for Traefik, with the middleware of docs/doors/authz.md. */
async function startStandIn(at: Hub): Promise<Proxy> {
  const recipe = traefikOfDocs().http.middlewares.weir.forwardAuth;
  const settings = { ...recipe, address: recipe.address.replace("127.0.0.1:9092", at.http) };
  const server = createServer((asked, response) => {
    proxied(asked, response, settings, service.port).catch(() => response.writeHead(500).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const dispose = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, stderr: () => "", dispose };
}

/** Starts a Traefik with the file of docs/doors/authz.md, for every host. */
async function startTraefik(path: string, at: Hub): Promise<Proxy> {
  const port = await freePort();
  const recipe = JSON.stringify(traefikOfDocs())
    .replace("Host(`shop.example`)", "PathPrefix(`/`)")
    .replace("127.0.0.1:9092", at.http)
    .replace("127.0.0.1:8000", `127.0.0.1:${service.port}`);
  const folder = await writeFolder({ "weir.yml": recipe });
  const told = [
    `--entrypoints.web.address=127.0.0.1:${port}`,
    `--providers.file.filename=${join(folder, "weir.yml")}`,
    ...["--providers.file.watch=false", "--global.checknewversion=false", "--log.level=ERROR"],
  ];
  const proxy = await startProxy({ path, env: {} }, told, { port, folder });
  await until(async () => (await ask(port, "/")).status === 200);
  return proxy;
}

const traefik = process.env["TRAEFIK_BIN"];
const ways = new Map<string, (at: Hub) => Promise<Proxy>>([["as Traefik asks", startStandIn]]);
if (traefik !== undefined) ways.set("Traefik", (at) => startTraefik(traefik, at));

let service: Service;
let hub: Hub;
const proxies = new Map<string, Proxy>();

test.before(async () => {
  service = await startService();
  hub = await startHub(files);
  for (const [name, start] of ways) proxies.set(name, await start(hub));
});

test.after.always(() => {
  for (const proxy of proxies.values()) proxy.dispose();
  hub?.dispose();
  service?.close();
});

for (const [name, start] of ways) {
  for (const given of forwardAuthCases) {
    test.serial(`${name}: ${given.title}`, async (t) => {
      await judgeThrough(t, given, { ...proxies.get(name)!, service });
    });
  }

  test.serial(`${name}: a limit refuses with 429, and says when to come again`, async (t) => {
    const { port } = proxies.get(name)!;
    const asked = { headers: { "x-user": `ann of ${name}` } };
    t.is((await ask(port, "/limited", asked)).status, 200);
    t.is((await ask(port, "/limited", asked)).status, 200);
    const { status, headers, body } = await ask(port, "/limited", asked);
    t.is(status, 429);
    t.regex(headers["retry-after"]!, /^\d+$/);
    t.is(headers["ratelimit-policy"], '"limits/two";q=2;w=3600');
    t.regex(body, /two an hour/);
  });

  test.serial(`${name}: while the hub is down nothing passes; when it is back, it judges again`, async (t) => {
    const own = await startHub(files);
    t.teardown(() => own.dispose());
    const { port, dispose } = await start(own);
    t.teardown(dispose);
    t.is((await ask(port, "/")).status, 200);
    const before = service.count();
    own.process.kill("SIGKILL");
    await own.exit;
    t.is((await ask(port, "/")).status, 500);
    t.is(service.count(), before);
    const again = await startHub(files, { folder: own.folder, args: ["--http", own.http] });
    t.teardown(() => again.dispose());
    t.is((await ask(port, "/admin")).status, 403);
    t.is((await ask(port, "/")).status, 200);
  });
}
