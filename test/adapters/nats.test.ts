import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeys } from "@nats-io/transport-node";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Call, Exported, JsonValue, LogEntry } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter, type FakeHost } from "weir/sdk/testing";
import nats from "../../adapters/nats/index.ts";
import { parseSubject, type SubjectTemplate } from "../../adapters/nats/subject.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { freePort } from "../e2e/free-port.ts";
import { notRun } from "../e2e/programs.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { startNats, type NatsOptions, type NatsServer } from "./nats-server.ts";

type KeyPair = ReturnType<typeof nkeys.createUser>;

const entry = (fields: LogEntry["fields"], name = "access"): LogEntry => ({
  name,
  timeMs: 1_700_000_000_123,
  severity: "info",
  fields,
});

// A test runner takes tests only before the first wait.
const server = await startNats();
const observer = "gap" in server ? undefined : await connect({ servers: server.url });

test("a subject's places are filled from an entry", (t) => {
  const { of, pattern } = parseSubject(
    "mesh.{log}.code-{fields.code}.{severity}.{fields.http.path}",
  ) as SubjectTemplate;
  t.is(pattern, "mesh.*.*.*.*");
  t.is(of(entry({ code: 200, "http.path": "/a b.c" })), "mesh.access.code-200.info./a%20b%2Ec");
  t.is(of(entry({ code: null })), "mesh.access.code-unknown.info.unknown");
  t.is(of(entry({ code: "" })), "mesh.access.code-empty.info.unknown");
});

for (const [template, problem] of [
  ["", /a dot between each two/],
  ["a..b", /a dot between each two/],
  ["a.b.", /a dot between each two/],
  ["{log}.a", /first token/],
  ["$JS.API.{log}", /first token/],
  ["_INBOX.{log}", /first token/],
  ["a.{fields}", /\{fields\.NAME\}/],
  ["a.{code}", /\{fields\.NAME\}/],
  ["a.{log", /printable ASCII/],
  ["a.*", /printable ASCII/],
  ["a.>", /printable ASCII/],
  ["a b", /printable ASCII/],
  ["ä", /printable ASCII/],
] as const) {
  test(`${JSON.stringify(template)} is no template of subjects`, (t) =>
    t.regex(parseSubject(template) as string, problem));
}

test("no value adds a token to a subject, stands for others or collides with another value", (t) => {
  const { of } = parseSubject("a.{fields.v}.b") as SubjectTemplate;
  const value = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(".", "*", ">", " ", "%", "2", "E", "\r", "\n", "\0", "ü", "a") }),
    fc.double(),
    fc.boolean(),
    fc.json().map((text) => JSON.parse(text) as JsonValue),
  ) as fc.Arbitrary<JsonValue>;
  fc.assert(
    fc.property(value, (v) => {
      const subject = of(entry({ v }));
      t.regex(subject, /^a\.[\x21-\x2d\x2f-\x7e]+\.b$/);
      t.notRegex(subject, /[*>]/);
    }),
    { numRuns: fuzzRuns(300) },
  );
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      fc.pre(a !== b);
      t.not(of(entry({ v: a })), of(entry({ v: b })));
    }),
    { numRuns: fuzzRuns(300) },
  );
});

if ("gap" in server) test("log entries in NATS", (t) => notRun(t, server));
else {
  test.after.always(() => server.dispose());
  test.after.always(() => observer?.close());

  const streams = new Map<string, number>();
  /** What a stream holds beyond what was read of it before. */
  const stored = async (stream: string, by = observer!): Promise<{ subject: string; id: string; body: Body }[]> => {
    const manager = await jetstreamManager(by);
    const { state } = await manager.streams.info(stream);
    const from = streams.get(stream) ?? 1;
    streams.set(stream, state.last_seq + 1);
    const found = [];
    for (let seq = from; seq <= state.last_seq; seq++) {
      const message = (await manager.streams.getMessage(stream, { seq }))!;
      found.push({ subject: message.subject, id: message.header.get("Nats-Msg-Id"), body: message.json<Body>() });
    }
    return found;
  };
  interface Body {
    readonly time: string;
    readonly severity: string;
    readonly log: string;
    readonly fields: Record<string, JsonValue>;
  }

  const servers = server.url;
  testAdapter(test.serial, nats, {
    config: { servers, subject: "contract.{log}", stream: { name: "contract", maxSize: "64MiB" } },
    refusedConfigs: [
      {},
      { servers: [] },
      { servers: "http://127.0.0.1" },
      { servers: "nats://user:password@127.0.0.1" },
      { servers, user: "a" },
      { servers, user: "a", password: "b", token: "c" },
      { servers, user: "a", password: { path: "c" } },
      { servers, tls: { cert: "a" } },
      { servers, timeout: "0s" },
      { servers, subject: "{log}" },
      { servers, jetstream: false, stream: { name: "a" } },
      { servers, stream: { name: "a.b" } },
      { servers, stream: { name: "a", maxSize: "1B" } },
    ],
    logs: {
      delivered: async () =>
        (await stored("contract").catch(() => [])).map(({ body: { log: name, fields } }) => ({ name, fields })),
    },
  });

  type Config = Parameters<(typeof nats.config)["~standard"]["validate"]>[0];
  const make = async (t: ExecutionContext, config: object, folder?: string) => {
    const host: FakeHost = fakeHost(folder === undefined ? {} : { folder });
    const instance = await makeInstance(nats, config as Config & { servers: string }, host);
    t.teardown(async () => {
      await instance.close?.();
      host.close();
    });
    return { host, deliver: instance.logs.bind(instance) };
  };
  const started = async (t: ExecutionContext, options: NatsOptions = {}): Promise<NatsServer> => {
    const made = (await startNats(options)) as NatsServer;
    t.teardown(() => made.dispose());
    return made;
  };
  const filesIn = (t: ExecutionContext, files: Readonly<Record<string, string>>): string => {
    const folder = mkdtempSync(join(tmpdir(), "weir-nats-files-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return folder;
  };
  const call = fakeCall();
  /** Offers until all is delivered, as the hub's queue does. */
  const deliverAll = async (deliver: Deliver, entries: readonly LogEntry[]): Promise<void> => {
    for (let left = entries; left.length > 0;) {
      const exported = await deliver(left, call);
      if (exported === undefined) return;
      left = left.slice(exported.delivered);
      await setTimeout(20);
    }
  };

  test("an entry is one message in JSON, at the subject of its values, with an id", async (t) => {
    const { deliver } = await make(t, {
      servers,
      subject: "shape.{fields.code}",
      stream: { name: "shape", maxSize: "64MiB" },
    });
    await deliverAll(deliver, [entry({ code: 200, path: "/" }), entry({ code: 404 })]);
    const [first, second] = await stored("shape");
    t.deepEqual(first!.body, {
      time: "2023-11-14T22:13:20.123Z",
      severity: "info",
      log: "access",
      fields: { code: 200, path: "/" },
    });
    t.deepEqual([first!.subject, second!.subject], ["shape.200", "shape.404"]);
    t.not(first!.id, second!.id);
  });

  test("an entry that is too large for the server costs only itself", async (t) => {
    const { deliver, host } = await make(t, {
      servers,
      subject: "large.{log}",
      stream: { name: "large", maxSize: "64MiB" },
    });
    await deliverAll(deliver, [entry({ n: 1 }), entry({ n: 2, text: "x".repeat(1 << 20) }), entry({ n: 3 })]);
    t.deepEqual(
      (await stored("large")).map(({ body }) => body.fields["n"]),
      [1, 3],
    );
    t.is(host.events.get("too_large"), 1);
  });

  test("a stream that is full, or that nobody has made, is told as a reason to try again", async (t) => {
    const none = await make(t, { servers, subject: "nobody.{log}" });
    const exported = await none.deliver([entry({})], call);
    t.like(exported, { delivered: 0, retry: true });

    const { deliver } = await make(t, { servers, subject: "full.{log}", stream: { name: "full", maxSize: "64KiB" } });
    const entries = Array.from({ length: 20 }, (_, n) => entry({ n, text: "x".repeat(10_000) }));
    await deliverAll(deliver, entries.slice(0, 1));
    const refused = await deliver(entries.slice(1), call);
    if (refused === undefined) return t.fail("a full stream took everything");
    t.true(refused.retry);
    t.regex(refused.reason, /maximum bytes exceeded/);
    t.is((await stored("full")).length, 1 + refused.delivered);
  });

  test("what was stored without an answer in time is not stored again", async (t) => {
    const slow = await started(t);
    const { deliver } = await make(t, {
      ...{ servers: slow.url, timeout: "200ms" },
      ...{ subject: "slow.{log}", stream: { name: "slow" } },
    });
    const entries = [entry({ n: 1 }), entry({ n: 2 })];
    await deliverAll(deliver, entries.slice(0, 1));
    await slow.pause();
    const exported = await deliver(entries.slice(1), call);
    t.like(exported, { delivered: 0, retry: true });
    slow.resume();
    await deliverAll(deliver, entries.slice(1));
    const nc = await connect({ servers: slow.url });
    t.deepEqual(
      (await stored("slow", nc)).map(({ body }) => body.fields["n"]),
      [1, 2],
    );
    await nc.close();
  });

  test("a server that is away when the instance is made, and one that is started again, is found", async (t) => {
    const port = await freePort();
    const { deliver, host } = await make(t, {
      ...{ servers: `nats://127.0.0.1:${port}`, timeout: "1s" },
      ...{ subject: "away.{log}", stream: { name: "away" } },
    });
    const exported = await deliver([entry({})], call);
    t.like(exported, { delivered: 0, retry: true });
    t.regex((exported as { reason: string }).reason, /^nats is away: /);
    t.is(host.logs.filter(({ level }) => level === "warn").length, 1);

    const first = await started(t, { port });
    await deliverAll(deliver, [entry({ n: 1 })]);
    await first.kill();
    t.like(await deliver([entry({ n: 2 })], call), { delivered: 0, retry: true });
    const second = await started(t, { port, folder: first.folder });
    await deliverAll(deliver, [entry({ n: 2 })]);
    const nc = await connect({ servers: second.url });
    t.deepEqual(
      (await stored("away", nc)).map(({ body }) => body.fields["n"]),
      [1, 2],
    );
    await nc.close();
  });

  test("without JetStream an entry is delivered when the server has it", async (t) => {
    const { deliver } = await make(t, { servers, subject: "core.{log}", jetstream: false });
    const seen = observer!.subscribe("core.>", { max: 2 });
    await observer!.flush();
    await deliverAll(deliver, [entry({ n: 1 }, "a b"), entry({ n: 2 })]);
    const subjects = [];
    for await (const message of seen) subjects.push([message.subject, message.json<Body>().fields["n"]]);
    t.deepEqual(subjects, [
      ["core.a%20b", 1],
      ["core.access", 2],
    ]);
  });

  const user = nkeys.createUser();
  const seed = Buffer.from(user.getSeed()).toString();
  const chain = trust(user);
  for (const [how, { config, given, files = {} }] of Object.entries<{
    config: string;
    given: object;
    files?: Record<string, string>;
  }>({
    "a user and a password": {
      config: 'authorization { user: weir, password: "s3 cret" }',
      given: { user: "weir", password: "s3 cret" },
    },
    "a password in a file": {
      config: 'authorization { user: weir, password: "s3 cret" }',
      given: { user: "weir", password: { file: "password" } },
      files: { password: "s3 cret\n" },
    },
    "a token": { config: "authorization { token: t0ken }", given: { token: "t0ken" } },
    "a token in a file": {
      config: "authorization { token: t0ken }",
      given: { token: { file: "token" } },
      files: { token: "t0ken\n" },
    },
    "an NKey": {
      config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
      given: { nkeyFile: "seed" },
      files: { seed: `${seed}\n` },
    },
    "a file of credentials": {
      config: `operator: ${chain.operator}\nresolver: MEMORY\nresolver_preload { ${chain.accountKey}: ${chain.account} }`,
      given: { credentialsFile: "weir.creds" },
      files: {
        "weir.creds": `-----BEGIN NATS USER JWT-----\n${chain.user}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
      },
    },
  })) {
    test(`${how} lets the adapter in`, async (t) => {
      const { url } = await started(t, { config, jetstream: false });
      const refused = await make(t, { servers: url, subject: "a.{log}", jetstream: false });
      t.like(await refused.deliver([entry({})], call), { delivered: 0, retry: true });
      const { deliver } = await make(
        t,
        { servers: url, subject: "a.{log}", jetstream: false, ...given },
        filesIn(t, files),
      );
      t.is(await deliver([entry({})], call), undefined);
    });
  }

  test("TLS, with a certificate of the adapter's own, which a server may ask for", async (t) => {
    const authority = createAuthority();
    const [own, other] = [authority.issue(), authority.issue({ name: "weir" })];
    const folder = filesIn(t, {
      "ca.pem": authority.cert,
      "server.pem": own.cert,
      "server.key": own.key,
      "weir.pem": other.cert,
      "weir.key": other.key,
    });
    const at = (name: string): string => `"${join(folder, name)}"`;
    const { port } = await started(t, {
      config: `tls { cert_file: ${at("server.pem")}, key_file: ${at("server.key")}, ca_file: ${at("ca.pem")}, verify: true }`,
    });
    const base = { servers: `tls://127.0.0.1:${port}`, subject: "a.{log}", jetstream: false };
    const given = { ca: "ca.pem", cert: "weir.pem", key: "weir.key" };
    const { deliver } = await make(t, { ...base, tls: given }, folder);
    t.is(await deliver([entry({})], call), undefined);
    for (const tls of [{ cert: "weir.pem", key: "weir.key" }, { ca: "ca.pem" }]) {
      const refused = await make(t, { ...base, tls }, folder);
      t.like(await refused.deliver([entry({})], call), { delivered: 0, retry: true });
    }
    const plain = await make(t, { ...base, servers: `tls://127.0.0.1:${server.port}` }, folder);
    t.like(await plain.deliver([entry({})], call), { delivered: 0, retry: true }, "nothing goes in plain text");
  });
}

type Deliver = (entries: readonly LogEntry[], call: Call) => Promise<Exported> | Exported;

/** An operator, an account and a user that trust each other, as `nsc` would write them: JWTs signed by NKeys. */
function trust(user: KeyPair): { operator: string; account: string; accountKey: string; user: string } {
  const [operator, account] = [nkeys.createOperator(), nkeys.createAccount()];
  const sign = (issuer: KeyPair, subject: KeyPair, name: string, claims: object): string => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const body = { jti: name, iat: 1, iss: issuer.getPublicKey(), name, sub: subject.getPublicKey(), nats: claims };
    const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(body)}`;
    return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString("base64url")}`;
  };
  const unlimited = { subs: -1, data: -1, payload: -1 };
  return {
    operator: sign(operator, operator, "operator", { type: "operator", version: 2 }),
    account: sign(operator, account, "account", {
      ...{ type: "account", version: 2 },
      limits: { ...unlimited, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true },
    }),
    accountKey: account.getPublicKey(),
    user: sign(account, user, "user", { type: "user", version: 2, ...unlimited }),
  };
}
