import { once } from "node:events";
import { mkdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Client, credentials } from "@grpc/grpc-js";
import test from "ava";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/weir/v1/weir.ts";
import { createAuthority, hourAgo, inAnHour, type KeyedCertificate } from "./certificates.ts";
import { stream, until } from "./clients.ts";
import { startHub } from "./hub.ts";
import { peers } from "./peers.ts";
import { notRun } from "./programs.ts";
import {
  authority,
  certificateFiles,
  grpcClient,
  handshake,
  https,
  mixerCheck,
  policies,
  refusals,
  replaceFiles,
  secured,
  server,
  status,
  tls,
  web,
  weirYaml,
} from "./secured-hub.ts";

/** Certificates that are not let in, and what is said of them. */
const bad: readonly (readonly [name: string, certificate: KeyedCertificate | undefined, reason: string])[] = [
  ["none", undefined, "no_certificate"],
  ["one of another authority", createAuthority("another").issue(), "untrusted"],
  ["one that has expired", authority.issue({ notBefore: new Date(Date.now() - 9e6), notAfter: hourAgo() }), "expired"],
  ["one that is not valid yet", authority.issue({ notBefore: inAnHour() }), "not_yet_valid"],
];

test.serial("certificates that are required: bad ones are refused at each listener, counted and logged", async (t) => {
  const hub = await secured(t, weirYaml());
  for (const [name, certificate, reason] of bad) {
    t.is((await mixerCheck(grpcClient(t, hub, certificate))).code, 14, name);
    await t.throwsAsync(https(hub.http, "/openapi.json", certificate), undefined, name);
    await until(async () => (await refusals(hub, "grpc", reason)) > 0 && (await refusals(hub, "http", reason)) > 0);
    await hub.saw(`"listener":"grpc","reason":"${reason}","peer":"127.0.0.1"`);
  }
  for (const certificate of [web, authority.intermediate("below").issue()]) {
    t.is((await mixerCheck(grpcClient(t, hub, certificate))).code, 0);
    t.is((await https(hub.http, "/openapi.json", certificate)).status, 200);
  }
});

test.serial("certificates that are optional: none is let in, a bad one is not", async (t) => {
  const hub = await secured(t, weirYaml({ tls: tls("ca: certs/ca.crt, clientAuth: optional") }));
  for (const [name, certificate, reason] of bad) {
    if (certificate === undefined) continue;
    t.is((await mixerCheck(grpcClient(t, hub, certificate))).code, 14, name);
    await t.throwsAsync(https(hub.http, "/openapi.json", certificate), undefined, name);
    await until(async () => (await refusals(hub, "grpc", reason)) > 0 && (await refusals(hub, "http", reason)) > 0);
  }
  for (const certificate of [undefined, web]) {
    t.is((await mixerCheck(grpcClient(t, hub, certificate))).code, 0);
    t.is((await https(hub.http, "/openapi.json", certificate)).status, 200);
  }
});

test.serial("TLS 1.2 and 1.3 are spoken, older ones are not; gRPC is HTTP/2, the others HTTP/1.1", async (t) => {
  const hub = await secured(t, weirYaml({ tls: tls(""), admin: `{ address: "127.0.0.1:0", tls: ${tls("")} }` }));
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const options = { minVersion: version, maxVersion: version, ALPNProtocols: ["h2", "http/1.1"] };
    for (const [address, alpn] of [
      [hub.grpc, "h2"],
      [hub.http, "http/1.1"],
      [hub.admin, "http/1.1"],
    ] as const) {
      t.like(await handshake(address, options), { protocol: version, alpn });
    }
  }
  t.is((await https(hub.admin, "/readyz")).status, 200);
  // OpenSSL speaks TLS 1.1 only when it is asked to lower its guard.
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  for (const address of [hub.grpc, hub.http, hub.admin])
    await t.throwsAsync(handshake(address, old), { message: /protocol version|unsupported protocol/i }, address);
  await t.throwsAsync(handshake(hub.grpc, { ALPNProtocols: ["spdy/3"] }), { message: /no application protocol/i });
});

test.serial("minVersion 1.3 refuses TLS 1.2", async (t) => {
  const hub = await secured(t, weirYaml({ tls: tls('minVersion: "1.3"') }));
  t.like(await handshake(hub.grpc), { protocol: "TLSv1.3" });
  await t.throwsAsync(handshake(hub.grpc, { maxVersion: "TLSv1.2" }));
  await until(async () => (await refusals(hub, "grpc", "protocol_version")) > 0);
});

test.serial("plain text at a port of TLS gets no answer, and is told of", async (t) => {
  const hub = await secured(t, weirYaml({ tls: tls("") }));
  await t.throwsAsync(fetch(`http://${hub.http}/openapi.json`));
  const plain = new Client(hub.grpc, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  t.teardown(() => plain.close());
  t.is((await mixerCheck(plain)).code, 14);
  for (const at of ["http", "grpc"]) await until(async () => (await refusals(hub, at, "plain_text")) > 0);
  t.is((await mixerCheck(grpcClient(t, hub))).code, 0);
});

test.serial("a session is not taken up again without its certificate", async (t) => {
  const hub = await secured(t, weirYaml());
  const [host, port] = hub.http.split(":");
  const first = connectTls({ host: host!, port: Number(port), ca: authority.cert, ...web, maxVersion: "TLSv1.2" });
  await once(first, "secureConnect");
  const session = first.getSession();
  first.destroy();
  await t.throwsAsync(https(hub.http, "/openapi.json", { session, maxVersion: "TLSv1.2" }));
  t.is((await https(hub.http, "/openapi.json", { session, maxVersion: "TLSv1.2", ...web })).status, 200);
});

test.serial("curl calls the hub with a certificate; one that does not trust it is told of", async (t) => {
  const curl = await peers.curl();
  if ("gap" in curl) return notRun(t, curl);
  const hub = await secured(t, weirYaml(), {
    "web.crt": web.cert,
    "web.key": web.key,
    "another.crt": createAuthority("another").cert,
  });
  const { execFile } = await import("node:child_process");
  const run = (...args: string[]) =>
    new Promise<{ code: number; stdout: string }>((resolve) => {
      const [, port] = hub.http.split(":");
      const all = ["-sS", "--max-time", "20", ...args, `https://localhost:${port}/openapi.json`];
      execFile(curl.path, all, { cwd: hub.folder, env: { ...process.env, ...curl.env } }, (error, stdout) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout }),
      );
    });
  const own = ["--cert", "web.crt", "--key", "web.key"];
  t.true((await run("--cacert", "certs/ca.crt", ...own)).stdout.includes("openapi"));
  t.not((await run("--cacert", "certs/ca.crt")).code, 0);
  t.not((await run("--cacert", "another.crt", ...own)).code, 0);
  await until(async () => (await refusals(hub, "http", "peer_distrusts")) > 0);
});

test.serial("new certificates are shown to new connections, and no call or stream is lost", async (t) => {
  const hub = await secured(t, weirYaml());
  const client = grpcClient(t, hub, web);
  const open = stream(grpcClient(t, hub, web), "/weir.v1.Weir/Check", CheckResponse);
  let calls = 0;
  let lost = 0;
  let running = true;
  const load = (async () => {
    while (running) {
      open.send(CheckRequest.encode(CheckRequest.fromPartial({ index: BigInt(calls) })).finish());
      const [answer, next] = await Promise.all([mixerCheck(client), open.next()]);
      if (answer.code !== 0 || next.decision === undefined) lost++;
      calls++;
    }
  })();
  const serials = () => Promise.all([hub.grpc, hub.http].map(async (at) => (await handshake(at, web)).serial));
  const [before] = await serials();
  const next = authority.issue();
  await replaceFiles(hub, { "certs/tls.crt": next.cert, "certs/tls.key": next.key });
  await until(async () => !(await serials()).includes(before!));
  const seen = calls;
  await until(() => calls > seen + 5);
  running = false;
  await load;
  t.is(lost, 0);
});

test.serial("another authority is taken up with a mount whose symlink is swapped", async (t) => {
  const other = createAuthority("other");
  const own = other.issue();
  const mounted = Object.entries(certificateFiles()).map(([name, text]) => [name.replace("certs/", "mount/"), text]);
  const hub = await startHub({
    ...policies,
    ...(Object.fromEntries(mounted) as Record<string, string>),
    "weir.yaml": weirYaml().replaceAll("certs/", "mount/"),
  });
  t.teardown(() => hub.dispose());
  t.is((await mixerCheck(grpcClient(t, hub, own))).code, 14);
  await mkdir(join(hub.folder, "v2"));
  const both = authority.cert + other.cert;
  await replaceFiles(hub, { "v2/tls.crt": server.cert, "v2/tls.key": server.key, "v2/ca.crt": both });
  await rename(join(hub.folder, "mount"), join(hub.folder, "v1"));
  await symlink("v2", join(hub.folder, "mount"));
  await hub.saw("new certificates are served");
  t.is((await mixerCheck(grpcClient(t, hub, own))).code, 0);
  t.is((await mixerCheck(grpcClient(t, hub, web))).code, 0);
});

test.serial(
  "broken certificates leave the old ones in place and policies free to change, and are told of",
  async (t) => {
    const hub = await secured(t, weirYaml());
    const { serial } = await handshake(hub.grpc, web);
    await replaceFiles(hub, { "certs/tls.key": authority.issue().key });
    await hub.saw("new certificates cannot be served: the old ones go on");
    t.is((await handshake(hub.grpc, web)).serial, serial);
    const before = await status(hub);
    t.regex(before["credentials"].grpc.problems[0], /tls\.key: the key is not the one of the certificate/);
    await replaceFiles(hub, { "policies/open.yaml": "policy: changed\n" });
    await until(async () => (await status(hub))["policies"].version !== before["policies"].version);
    const next = authority.issue();
    await replaceFiles(hub, { "certs/tls.crt": next.cert, "certs/tls.key": next.key });
    await until(async () => (await handshake(hub.grpc, web)).serial !== serial);
    t.deepEqual((await status(hub))["credentials"].grpc.problems, []);
  },
);

test.serial("the days that are left of a certificate are shown, and few of them are warned of", async (t) => {
  const hub = await secured(t, weirYaml());
  await hub.saw("the certificate of a listener expires soon");
  const text = await (await fetch(`http://${hub.admin}/metrics`)).text();
  const [, days] = /^weir_certificate_days_left\{listener="grpc"\} (.*)$/m.exec(text)!;
  t.true(Number(days) > 0.9 && Number(days) <= 1);
});
