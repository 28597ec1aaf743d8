import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { startHub, type Hub } from "./hub.ts";
import { ask, startService, type Seen, type Service } from "./proxied-service.ts";
import { traefikOfDocs } from "./recipes.ts";

// Traefik comes in no package registry that tests may use. What stands in for it here does what the page of its
// ForwardAuth says and what version 3 does: https://doc.traefik.io/traefik/middlewares/http/forwardauth/

const hopByHop = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"];

interface ForwardAuth {
  readonly address: string;
  readonly authResponseHeaders: readonly string[];
  readonly trustForwardHeader: boolean;
}

/** Asks the hub with the caller's headers, and copies what comes back as `authResponseHeaders` says. */
async function forwardAuth(asked: IncomingMessage, { address, authResponseHeaders }: ForwardAuth) {
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
  if (status < 200 || status > 299) return { answer };
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

let service: Service;
let hub: Hub;
let port: number;
const proxy = createServer();

test.before(async () => {
  service = await startService();
  hub = await startHub({ "policies/all.yaml": forwardAuthPolicies, "weir.yaml": "policies: ./policies\n" });
  const recipe = traefikOfDocs().http.middlewares.weir.forwardAuth;
  const settings = { ...recipe, address: recipe.address.replace("127.0.0.1:9092", hub.http) };
  proxy.on("request", (asked, response) => {
    proxied(asked, response, settings, service.port).catch(() => response.writeHead(500).end());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  ({ port } = proxy.address() as AddressInfo);
});

test.after.always(() => {
  proxy.closeAllConnections();
  proxy.close();
  hub?.dispose();
  service?.close();
});

for (const { title, path, status, answer, answerHeaders = {}, seen = {}, ...asked } of forwardAuthCases) {
  test(`as Traefik asks: ${title}`, async (t) => {
    const got = await ask(port, path, asked);
    t.is(got.status, status);
    if (answer !== undefined) t.is(got.body, answer);
    for (const [name, value] of Object.entries(answerHeaders)) t.is(got.headers[name], value, name);
    if (status !== 200) return;
    const came = JSON.parse(got.body) as Seen;
    t.like(came, { method: asked.method ?? "GET", url: path, body: asked.body ?? "" });
    for (const [name, value] of Object.entries(seen)) t.is(came.headers[name], value, name);
  });
}
