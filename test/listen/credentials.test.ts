import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { needsRestart, readCredentials, type Credentials } from "../../src/listen/credentials.ts";
import type { Listeners } from "../../src/listen/settings.ts";
import { createVirtualClock } from "../../src/cli/policy-test/virtual-clock.ts";
import { createAuthority, type KeyedCertificate } from "../e2e/certificates.ts";
import { recordingLog, recordingObserver } from "../wire/grpc/harness.ts";

const authority = createAuthority();
const dayMs = 86_400_000;

interface Kept {
  readonly credentials: Credentials;
  readonly listeners: Listeners;
  readonly log: ReturnType<typeof recordingLog>;
  readonly write: (certificate: KeyedCertificate) => void;
  /** Says what the files are like, for the fingerprint. */
  change: () => void;
  readonly clock: ReturnType<typeof createVirtualClock>;
}

async function keep(t: ExecutionContext, certificate: KeyedCertificate): Promise<Kept> {
  const folder = mkdtempSync(join(tmpdir(), "weir-credentials-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string) => join(folder, name);
  const write = ({ cert, key }: KeyedCertificate) => {
    writeFileSync(path("crt"), cert);
    writeFileSync(path("key"), key);
  };
  write(certificate);
  let print = 0;
  const plain = { address: "127.0.0.1:0" };
  const tls = { cert: path("crt"), key: path("key"), clientAuth: "none", minVersion: "1.2" } as const;
  const listeners: Listeners = { grpc: { ...plain, tls }, http: plain, admin: { ...plain, open: [] } };
  const log = recordingLog();
  const clock = createVirtualClock(Date.now());
  const credentials = await readCredentials({
    listeners,
    observer: recordingObserver(),
    log,
    now: clock.now,
    timers: clock.timers,
    fingerprint: async () => String(print),
  });
  t.teardown(() => credentials.close());
  return { credentials, listeners, log, write, change: () => print++, clock };
}

test("a certificate that has less than seven days left is warned of, and one that has expired is an error", async (t) => {
  const notAfter = new Date(Date.now() + 8 * dayMs);
  const { log, clock, credentials } = await keep(t, authority.issue({ notAfter }));
  t.deepEqual(log.lines, []);
  await clock.advance(1.5 * dayMs);
  t.true(log.lines.length > 0);
  t.like(log.lines[0], { level: "warn", fields: { listener: "grpc", days: 6 } });
  t.is(credentials.states()[0]!.notAfterMs, Math.floor(notAfter.getTime() / 1000) * 1000);
  await clock.advance(7 * dayMs);
  t.like(log.lines.at(-1), { level: "error", message: "the certificate of a listener has expired" });
});

test("a chain expires with the first of its certificates", async (t) => {
  const soon = authority.issue({ notAfter: new Date(Date.now() + dayMs) });
  const later = authority.issue({ notAfter: new Date(Date.now() + 90 * dayMs) });
  const { credentials } = await keep(t, { cert: later.cert + soon.cert, key: later.key });
  t.true(credentials.states()[0]!.notAfterMs! < Date.now() + 2 * dayMs);
});

test("files that have not changed are not read again; what cannot be served is told once and changes nothing", async (t) => {
  const { credentials, log, write, change } = await keep(
    t,
    authority.issue({ notAfter: new Date(Date.now() + 90 * dayMs) }),
  );
  const before = credentials.gates.grpc.tls;
  write({ cert: "-", key: "-" });
  await credentials.refresh();
  t.deepEqual(log.lines, []);
  for (let i = 0; i < 3; i++) {
    change();
    await credentials.refresh();
  }
  t.is(log.lines.length, 1);
  t.is(credentials.states()[0]!.problems.length, 2);
  t.is(credentials.gates.grpc.tls!.cert, before!.cert);
  const next = authority.issue({ notAfter: new Date(Date.now() + 90 * dayMs) });
  write(next);
  change();
  await credentials.refresh();
  t.is(credentials.gates.grpc.tls!.cert, next.cert);
  t.deepEqual(credentials.states()[0]!.problems, []);
});

test("a listener that should become another kind stays as it is until the next start, with its clients", async (t) => {
  const { credentials, listeners } = await keep(t, authority.issue());
  const clients = [{ name: "a.example" }];
  const tls = { ...listeners.grpc.tls!, clientAuth: "required", ca: "nowhere" } as const;
  const next: Listeners = {
    ...listeners,
    grpc: { ...listeners.grpc, tls, clients },
    http: { address: "127.0.0.1:0", tls, clients },
  };
  t.true(needsRestart(listeners, next));
  await credentials.refresh(next);
  t.is(credentials.gates.http.tls, undefined);
  t.false(credentials.gates.grpc.tls!.requestCert);
  t.deepEqual(
    credentials.states().flatMap(({ problems }) => problems),
    [],
  );
});

test("clients and files may change while a listener listens", (t) => {
  const tls = { cert: "a", key: "b", ca: "c", clientAuth: "required", minVersion: "1.2" } as const;
  const at = (more: object): Listeners => ({
    grpc: { address: "127.0.0.1:1", tls, ...more },
    http: { address: "127.0.0.1:2" },
    admin: { address: "127.0.0.1:3", open: [] },
  });
  t.false(needsRestart(at({}), at({ clients: [] })));
  t.false(needsRestart(at({}), at({ tls: { ...tls, cert: "other", ca: "other" } })));
  t.true(needsRestart(at({}), at({ tls: { ...tls, minVersion: "1.3" } })));
  t.true(needsRestart(at({}), at({ tls: undefined })));
  t.true(needsRestart(at({}), at({ address: "127.0.0.1:9" })));
});

test("a listener does not begin with certificates that cannot be served", async (t) => {
  await t.throwsAsync(keep(t, { cert: "-", key: "-" }), {
    code: "WEIR_LISTEN",
    message: /the grpc listener cannot serve TLS/,
  });
});
