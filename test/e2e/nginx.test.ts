import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { judgeThrough } from "./forward-auth.ts";
import { createAuthority } from "./certificates.ts";
import { metric } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { peers } from "./peers.ts";
import { notRun, type Gap, type Program } from "./programs.ts";
import { ask, startProxy, startService, type Proxy, type Seen, type Service } from "./proxied-service.ts";

const policies = `${forwardAuthPolicies}
---
policy: answers
match: destination.service.name == "shop"
check:
  - name: marks
    headers:
      response: { set: { x-mode: '"weir"' }, append: { x-served: '"weir"' }, remove: [x-secret] }
  - name: later
    deny: unavailable
    when: request.path == "/later"
    http: { status: 200, body: "come back later", headers: { set-cookie: a=1 } }
`;
const files = { "policies/all.yaml": policies, "weir.yaml": "policies: ./policies\n" };

let nginx: Program | Gap;
let service: Service;
let hub: Hub;
let proxy: Proxy;

/** Starts nginx with what `weir nginx` prints. */
async function startNginx(found: Program, at: Hub, args: readonly string[] = []): Promise<Proxy> {
  const folder = await writeFolder({});
  const port = await freePort();
  const { code, stdout, stderr } = await runWeir([
    ...["nginx", "--config", join(at.folder, "weir.yaml"), "--hub", at.http, "--timeout", "20s"],
    ...["--listen", `127.0.0.1:${port}`, "--upstream", `127.0.0.1:${service.port}`, "--folder", folder, ...args],
  ]);
  if (code !== 0 || stderr !== "") throw new Error(stderr);
  const file = join(folder, "nginx.conf");
  await writeFile(file, stdout);
  // Workers must reach the folder, which is the owner's alone.
  const user = process.getuid?.() === 0 ? " user root;" : "";
  return startProxy(found, ["-p", folder, "-e", "stderr", "-c", file, "-g", `daemon off;${user}`], { port, folder });
}

test.before(async () => {
  nginx = await peers.nginx();
  if ("gap" in nginx) return;
  service = await startService();
  hub = await startHub(files);
  proxy = await startNginx(nginx, hub);
});

test.after.always(() => {
  proxy?.dispose();
  hub?.dispose();
  service?.close();
});

/** A test that needs nginx. */
function withNginx(title: string, run: (t: ExecutionContext, found: Program) => Promise<void>): void {
  test.serial(title, async (t) => ("gap" in nginx ? notRun(t, nginx) : run(t, nginx)));
}

for (const given of forwardAuthCases) {
  withNginx(`nginx: ${given.title}`, async (t) => {
    await judgeThrough(t, given, { ...proxy, service });
  });
}

withNginx("nginx: a caller is told nothing of how its request was decided", async (t) => {
  for (const path of ["/", "/admin", "/later"]) {
    const { headers } = await ask(proxy.port, path);
    t.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith("x-weir")),
      [],
    );
  }
});

withNginx("nginx: header operations are seen by the caller", async (t) => {
  const { headers } = await ask(proxy.port, "/x");
  t.is(headers["x-mode"], "weir");
  t.is(headers["x-served"], "weir");
  t.is(headers["x-secret"], undefined);
});

withNginx("nginx: a refusal may have the status of a success, and is none", async (t) => {
  const before = service.count();
  const { status, headers, body } = await ask(proxy.port, "/later");
  t.deepEqual([status, body, headers["set-cookie"]], [200, "come back later", ["a=1"]]);
  t.is(service.count(), before);
});

withNginx("nginx: a limit refuses with 429, and says when to come again", async (t) => {
  const asked = { headers: { "x-user": "ann" } };
  t.is((await ask(proxy.port, "/limited", asked)).status, 200);
  t.is((await ask(proxy.port, "/limited", asked)).status, 200);
  const { status, headers, body } = await ask(proxy.port, "/limited", asked);
  t.is(status, 429);
  t.regex(headers["retry-after"]!, /^\d+$/);
  t.regex(headers["ratelimit"] as string, /^"limits\/two";r=0;t=\d+$/);
  t.is(headers["ratelimit-policy"], '"limits/two";q=2;w=3600');
  t.regex(body, /two an hour/);
  t.is((await ask(proxy.port, "/limited", { headers: { "x-user": "bob" } })).status, 200);
});

withNginx(
  "nginx: an answer that passes tells of limits where that is asked for, beside long names",
  async (t, found) => {
    const own = await startHub({
      "policies/all.yaml": `
policy: answers
check:
  - { name: five, limit: 5/h, by: source.ip }
  - name: marks
    headers:
      response:
        set: { content-security-policy-report-only: '"default-src self"', x-mode: '"weir"' }
        append: { x-secret: '"a"', access-control-expose-headers: '"retry-after"' }
      request: { set: { x-a-header-with-a-name-that-is-long-for-nginx: '"1"', x-a-header-with-a-name-that-is-long-too: '"2"' } }
`,
      "weir.yaml": "doors: { rateLimitFields: { style: both, on: always } }\n",
    });
    t.teardown(() => own.dispose());
    const at = await startNginx(found, own);
    t.teardown(() => at.dispose());
    const { status, headers } = await ask(at.port, "/");
    t.is(status, 200);
    t.like(headers, {
      "ratelimit-policy": '"answers/five";q=5;w=3600',
      "x-ratelimit-limit": "5",
      "x-ratelimit-remaining": "4",
      "content-security-policy-report-only": "default-src self",
      "x-mode": "weir",
      "x-secret": "s, a",
      "access-control-expose-headers": "retry-after",
    });
    t.regex(headers["ratelimit"] as string, /^"answers\/five";r=4;t=\d+$/);
  },
);

withNginx("nginx: a host in the target that is not the one of the header Host is refused", async (t) => {
  const before = service.count();
  const to = (target: string, host: string) => ask(proxy.port, target, { headers: { host } });
  t.is((await to("http://evil.example/host", "shop.example")).status, 403);
  t.is((await to("http://shop.example/host", "evil.example")).status, 403);
  t.is((await to("http://shop.example:8443/host", "shop.example.evil")).status, 403);
  t.is(service.count(), before);
  for (const host of ["shop.example", "Shop.Example", "shop.example."]) {
    t.is((await to("http://shop.example/host", host)).status, 200, host);
    t.is((await to("/host", host)).status, 200, host);
  }
  t.is((await to("/", "[::1]:8080")).status, 200);
});

withNginx("nginx: nobody reaches the hub through it", async (t) => {
  for (const path of ["/_weir/check", "/_weir/check?destination.service.name=x", "/v1/authz/nginx/refusal"]) {
    const { body } = await ask(proxy.port, path, { headers: { "x-weir-refusal": "e30" } });
    t.false(body.includes("WEIR_"), path);
  }
});

withNginx("nginx: a request with more headers than the hub takes is refused", async (t) => {
  const headers = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, "v".repeat(1000)]));
  t.is((await ask(proxy.port, "/", { headers })).status, 200);
  const before = service.count();
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-${i}`, "v".repeat(1000)]));
  t.true((await ask(proxy.port, "/", { headers: many })).status >= 400);
  t.is(service.count(), before);
});

withNginx("nginx: what it cannot carry is counted", async (t) => {
  t.is(await metric(hub, "weir_dropped_total", { reason: "not_carried" }), 0);
  t.true((await metric(hub, "weir_calls_total", { door: "authz", method: "nginx", code: "200" })) > 0);
});

withNginx("nginx: who a caller is, by a certificate that nginx has verified", async (t, found) => {
  const authority = createAuthority();
  const server = authority.issue({ dns: ["shop.example"] });
  const callers = {
    web: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
    other: authority.issue({ uris: ["spiffe://mesh.example/ns/other/sa/web"] }),
  };
  const own = await startHub({
    "policies/all.yaml": `
policy: who
check:
  - name: only-shop
    deny: permission_denied
    unless: source.namespace == "shop" && source.principal == "mesh.example/ns/shop/sa/web" && connection.mtls
    message: only the shop's web
`,
    "weir.yaml": "policies: ./policies\n",
    "server.pem": server.cert,
    "server.key": server.key,
    "ca.pem": authority.cert,
  });
  t.teardown(() => own.dispose());
  const file = (name: string) => join(own.folder, name);
  const at = await startNginx(found, own, [
    ...["--listen-cert", file("server.pem"), "--listen-key", file("server.key"), "--listen-ca", file("ca.pem")],
  ]);
  t.teardown(() => at.dispose());
  const asked = { headers: { "x-original-certificate": encodeURIComponent(callers.web.cert) } };
  const web = await ask(at.port, "/x", { ...asked, tls: { ca: authority.cert, ...callers.web } });
  t.is(web.status, 200);
  t.is((JSON.parse(web.body) as Seen).headers["x-forwarded-proto"], "https");
  const other = await ask(at.port, "/x", { ...asked, tls: { ca: authority.cert, ...callers.other } });
  t.deepEqual([other.status, other.body], [403, "only the shop's web"]);
  t.is((await ask(at.port, "/x", { ...asked, tls: { ca: authority.cert } })).status, 400, "no certificate");
});

for (const [failure, down] of [
  ["closed", 503],
  ["open", 200],
] as const) {
  withNginx(
    `nginx: while the hub is down, fail-${failure} answers ${down}; when it is back, it judges again`,
    async (t, found) => {
      const own = await startHub(files);
      t.teardown(() => own.dispose());
      const at = await startNginx(found, own, [`--fail-${failure}`]);
      t.teardown(() => at.dispose());
      t.is((await ask(at.port, "/admin")).status, 403);
      const before = service.count();
      own.process.kill("SIGKILL");
      await own.exit;
      const got = await ask(at.port, "/admin", { headers: { "x-plan": "mine" } });
      t.is(got.status, down);
      t.is(service.count() - before, down === 200 ? 1 : 0);
      // Nobody said what the header of a rule is to be: the caller's own is no answer.
      if (down === 200) t.is((JSON.parse(got.body) as Seen).headers["x-plan"], undefined);
      const again = await startHub(files, { folder: own.folder, args: ["--http", own.http] });
      t.teardown(() => again.dispose());
      t.is((await ask(at.port, "/admin")).status, 403);
      t.is((await ask(at.port, "/")).status, 200);
    },
  );
}
