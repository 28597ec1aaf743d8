import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { judgeThrough, type Passage } from "./forward-auth.ts";
import { freePort } from "./free-port.ts";
import { startHub, writeFolder, type Hub } from "./hub.ts";
import { peers } from "./peers.ts";
import { notRun, type Gap, type Program } from "./programs.ts";
import { ask, startProxy, startService, type Proxy, type Service } from "./proxied-service.ts";
import { caddyfileOfDocs } from "./recipes.ts";

const files = { "policies/all.yaml": forwardAuthPolicies, "weir.yaml": "policies: ./policies\n" };

let caddy: Program | Gap;
let service: Service;
let hub: Hub;
let proxy: Proxy;

/** Starts Caddy with the recipe of docs/doors/authz.md. */
async function startCaddy(found: Program, at: Hub): Promise<Proxy> {
  const folder = await writeFolder({});
  const port = await freePort();
  const recipe = caddyfileOfDocs()
    .replace("shop.example {", `http://127.0.0.1:${port}, http://shop.example:${port}, http://evil.example:${port} {`)
    .replace("127.0.0.1:9092", at.http)
    .replace("127.0.0.1:8000", `127.0.0.1:${service.port}`);
  const file = join(folder, "Caddyfile");
  await writeFile(file, `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${folder}\n}\n${recipe}`);
  const here = { ...found, env: { ...found.env, HOME: folder } };
  return startProxy(here, ["run", "--config", file, "--adapter", "caddyfile"], { port, folder });
}

test.before(async () => {
  caddy = await peers.caddy();
  if ("gap" in caddy) return;
  service = await startService();
  hub = await startHub(files);
  proxy = await startCaddy(caddy, hub);
});

test.after.always(() => {
  proxy?.dispose();
  hub?.dispose();
  service?.close();
});

/** A test that needs Caddy. */
function withCaddy(title: string, run: (t: ExecutionContext, found: Program) => Promise<void>): void {
  test.serial(title, async (t) => ("gap" in caddy ? notRun(t, caddy) : run(t, caddy)));
}

for (const given of forwardAuthCases) {
  withCaddy(`Caddy: ${given.title}`, async (t) => {
    // Caddy 2.6 sends a header that it did not get as an empty one.
    const sameHeader: Passage["sameHeader"] = (came, expected, name) => t.is(came || undefined, expected, name);
    await judgeThrough(t, given, { ...proxy, service, sameHeader });
  });
}

withCaddy("Caddy: a limit refuses with 429, and says when to come again", async (t) => {
  const asked = { headers: { "x-user": "ann" } };
  t.is((await ask(proxy.port, "/limited", asked)).status, 200);
  t.is((await ask(proxy.port, "/limited", asked)).status, 200);
  const { status, headers } = await ask(proxy.port, "/limited", asked);
  t.is(status, 429);
  t.regex(headers["retry-after"]!, /^\d+$/);
  t.is(headers["ratelimit-policy"], '"limits/two";q=2;w=3600');
});

withCaddy("Caddy: while the hub is down nothing passes; when it is back, it judges again", async (t, found) => {
  const own = await startHub(files);
  t.teardown(() => own.dispose());
  const at = await startCaddy(found, own);
  t.teardown(() => at.dispose());
  t.is((await ask(at.port, "/")).status, 200);
  const before = service.count();
  own.process.kill("SIGKILL");
  await own.exit;
  t.is((await ask(at.port, "/")).status, 502);
  t.is(service.count(), before);
  const again = await startHub(files, { folder: own.folder, args: ["--http", own.http] });
  t.teardown(() => again.dispose());
  t.is((await ask(at.port, "/admin")).status, 403);
  t.is((await ask(at.port, "/")).status, 200);
});
