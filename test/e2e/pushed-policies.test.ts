import { rmSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { Kvm } from "@nats-io/kv";
import test, { type ExecutionContext } from "ava";
import { startNats, type NatsServer } from "../adapters/nats-server.ts";
import { until } from "./clients.ts";
import { projectRoot, runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

// A test runner takes tests only before the first wait.
const server = await startNats();

const refuses = (path: string, name = "paths"): string => `
policy: ${name}
check:
  - { name: it, deny: permission_denied, when: request.path == "${path}" }
`;

/** A server, and who one is there; a user's password is its name. */
interface Login {
  readonly url: string;
  readonly user?: string;
}

const weirYaml = ({ url, user }: Login, bucket: string, more = ""): string => `
policies: { from: nats }
adapters:
  nats: { servers: "${url}", ${user === undefined ? "" : `user: ${user}, password: ${user}, `}policies: { bucket: ${bucket} } }
${more}`;

const hasNeeded = '  needed: { adapter: list, entries: ["/asked"] }\n';
const needsAdapter = `
policy: asks
check:
  - { name: it, ask: needed, with: { value: request.path }, when: request.path.startsWith("/a") }
`;

/** What a hub answers for a path, and the version that it says decided. */
async function ask(hub: Hub, path: string): Promise<{ readonly allowed: boolean; readonly version: string }> {
  const response = await fetch(`http://${hub.http}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ attributes: { "request.path": path } }),
  });
  const body = (await response.json()) as { allowed: boolean; version: string };
  return { allowed: body.allowed, version: body.version };
}

/** Waits until a hub decides by a version. */
async function decidesBy(hub: Hub, version: string): Promise<void> {
  for (let left = 1200; left > 0 && (await ask(hub, "/")).version !== version; left--) await setTimeout(25);
  const found = (await ask(hub, "/")).version;
  if (found !== version) throw new Error(`the hub decides by ${found}, not ${version}: ${hub.stderr()}`);
}

const statusOf = async (hub: Hub): Promise<string> => (await fetch(`http://${hub.admin}/status`)).text();

/** What a hub's metrics say of the store. */
async function storeUp(hub: Hub): Promise<string | undefined> {
  const metrics = await (await fetch(`http://${hub.admin}/metrics`)).text();
  return /^weir_policy_store_up (\d)$/m.exec(metrics)?.[1];
}

/** The hubs that `weir versions` shows. */
async function hubNames({
  look,
}: {
  look(...args: string[]): Promise<{ stdout: string }>;
}): Promise<readonly string[]> {
  const { hubs } = JSON.parse((await look("versions", "--json")).stdout) as { hubs: readonly { hub: string }[] };
  return hubs.map(({ hub }) => hub);
}

/** A place that policies are pushed from, with a bucket of its own. */
async function operator(t: ExecutionContext, nats: Login, bucket: string, more = "") {
  const folder = await writeFolder({ "weir.yaml": weirYaml(nats, bucket, more) });
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const run = async (wait: string, ...args: string[]) => {
    const done = await runWeir([...args, "--wait", wait], { cwd: folder });
    return { ...done, version: /^policies ([0-9a-f]{12}) /.exec(done.stdout)?.[1] ?? "" };
  };
  return {
    async push(files: Readonly<Record<string, string>>, wait = "30s") {
      await rm(join(folder, "policies"), { recursive: true, force: true });
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, "policies", name)), { recursive: true });
        await writeFile(join(folder, "policies", name), text);
      }
      return run(wait, "push", "policies");
    },
    rollback: (...args: string[]) => run("30s", "rollback", ...args),
    /** A command that changes nothing. */
    look: (...args: string[]) => runWeir(args, { cwd: folder }),
  };
}

async function hubOn(t: ExecutionContext, nats: Login, bucket: string, more = "", folder?: string): Promise<Hub> {
  const files = { "weir.yaml": weirYaml(nats, bucket, more) };
  const hub = await startHub(files, { policies: "pushed", ...(folder === undefined ? {} : { folder }) });
  t.teardown(() => hub.dispose());
  return hub;
}

if ("gap" in server) {
  test("policies are pushed over NATS", (t) => notRun(t, server));
} else {
  test.after.always(() => server.dispose());

  test("every hub takes what is pushed, decides by the same version, and goes back by a rollback", async (t) => {
    const place = await operator(t, server, "ROLLOUT");
    const first = await place.push({ "a.yaml": refuses("/one") });
    t.is(first.code, 0, first.stderr);
    t.regex(first.stdout, /no hub follows this bucket yet/);
    // Another address makes another weir.yaml: the version is that of the policies.
    const hubs = [await hubOn(t, server, "ROLLOUT"), await hubOn(t, server, "ROLLOUT", "telemetry: { mesh: none }\n")];
    for (const hub of hubs) t.deepEqual(await ask(hub, "/one"), { allowed: false, version: first.version });

    const second = await place.push({ "a.yaml": refuses("/two"), "more/b.yaml": refuses("/three", "more") });
    t.is(second.code, 0, second.stdout + second.stderr);
    t.is(second.stdout.match(/  serves them after \d/g)?.length, 2);
    t.regex(second.stdout, /^2 hubs serve them, the last after \d+(\.\d)? m?s$/m);
    for (const hub of hubs) {
      t.deepEqual(await ask(hub, "/one"), { allowed: true, version: second.version });
      t.deepEqual(await ask(hub, "/three"), { allowed: false, version: second.version });
      t.regex(await (await fetch(`http://${hub.admin}/metrics`)).text(), new RegExp(`version="${second.version}"`));
    }
    const third = await place.push({ "a.yaml": refuses("/four") });
    const back = await place.rollback();
    t.is(back.version, second.version);
    const further = await place.rollback();
    t.is(further.version, first.version);
    for (const hub of hubs) t.deepEqual(await ask(hub, "/one"), { allowed: false, version: first.version });
    const nothing = await place.rollback();
    t.is(nothing.code, 1);
    t.regex(nothing.stderr, /WEIR_PUSH.*no set before/);
    t.not(third.version, second.version);
  });

  test("policies with a mistake are not pushed", async (t) => {
    const place = await operator(t, server, "MISTAKE");
    const good = await place.push({ "a.yaml": refuses("/one") });
    const hub = await hubOn(t, server, "MISTAKE");
    const bad = await place.push({
      "a.yaml": "policy: x\ncheck:\n  - { name: it, deny: permission_denied, when: request.nothing == 1 }\n",
    });
    t.is(bad.code, 1);
    t.regex(bad.stderr, /a\.yaml:3:.*WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE/);
    t.regex(bad.stderr, /nothing was pushed/);
    const empty = await place.push({});
    t.is(empty.code, 1);
    t.deepEqual(await ask(hub, "/one"), { allowed: false, version: good.version });
  });

  test("a hub that cannot serve a set refuses it, says why, goes on, and starts with the last that it could", async (t) => {
    const place = await operator(t, server, "REFUSE", hasNeeded);
    const good = await place.push({ "a.yaml": refuses("/one") });
    const hub = await hubOn(t, server, "REFUSE");
    const refused = await place.push({ "a.yaml": needsAdapter });
    t.is(refused.code, 2);
    t.regex(refused.stdout, /refused them after .*, and serves/);
    t.regex(refused.stdout, /a\.yaml:4:.*WEIR_POLICY_UNKNOWN_ADAPTER/);
    t.deepEqual(await ask(hub, "/one"), { allowed: false, version: good.version });
    t.regex(await statusOf(hub), /WEIR_POLICY_UNKNOWN_ADAPTER/);
    const lines = (await place.look("versions")).stdout.trimEnd().split("\n");
    t.is(lines.length, 4);
    t.regex(
      lines[3]!,
      new RegExp(`^[\\w-]+  ${good.version}  since .*; refused ${refused.version}: .*UNKNOWN_ADAPTER`),
    );
    t.regex(lines[0]!, new RegExp(`^${refused.version}  .*Z  holds, refused by 1 hub$`));
    t.regex(lines[1]!, new RegExp(`^${good.version}  .*Z  served by 1 hub$`));

    hub.process.kill("SIGKILL");
    await hub.exit;
    const again = await hubOn(t, server, "REFUSE", "", hub.folder);
    t.deepEqual(await ask(again, "/one"), { allowed: false, version: good.version });
    const back = await place.rollback();
    t.is(back.version, good.version);
  });

  test("a hub that hangs is named as silent, and takes what was pushed when it goes on", async (t) => {
    const place = await operator(t, server, "HANGS");
    await place.push({ "a.yaml": refuses("/one") });
    const hubs = await Promise.all([1, 2, 3].map(() => hubOn(t, server, "HANGS")));
    // Each has said that it is there before one of them hangs.
    let all: readonly string[] = [];
    await until(async () => (all = await hubNames(place)).length === 3);
    const [hanging] = hubs;
    hanging!.process.kill("SIGSTOP");
    const second = await place.push({ "a.yaml": refuses("/two") }, "15s");
    t.is(second.code, 2);
    const [, silent] =
      /^ {2}([\w-]+) {2}is silent: it said last .* ago that it serves [0-9a-f]{12}$/m.exec(second.stdout) ?? [];
    t.true(all.includes(silent!), second.stdout);
    t.regex(second.stdout, new RegExp(`^2 hubs serve them, the last after .*; 1 silent: ${silent}$`, "m"));
    for (const hub of hubs.slice(1)) t.is((await ask(hub, "/two")).version, second.version);

    hanging!.process.kill("SIGCONT");
    await decidesBy(hanging!, second.version);
    // One that says that it stops is waited for no more.
    hubs[1]!.process.kill("SIGTERM");
    await hubs[1]!.exit;
    const third = await place.push({ "a.yaml": refuses("/three") });
    t.is(third.code, 0, third.stdout);
    t.regex(third.stdout, /^2 hubs serve them/m);
  });

  test("with the permissions of the documentation hubs follow and are heard; one that may not speak follows all the same", async (t) => {
    const page = await readFile(join(projectRoot, "docs/policies-over-nats.md"), "utf8");
    const [, users] = /```\n(# nats\.conf\n[^]*?)```/.exec(page)!;
    const own = (await startNats({ config: users! })) as NatsServer;
    t.teardown(() => own.dispose());
    const as = (user: string) => ({ url: own.url, user });
    const place = await operator(t, as("pusher"), "WEIR_POLICIES");
    const first = await place.push({ "a.yaml": refuses("/one") });
    t.is(first.code, 0, first.stderr);
    const mute = await hubOn(t, as("mute"), "WEIR_POLICIES");
    const unheard = await place.push({ "a.yaml": refuses("/two") });
    t.is(unheard.code, 0, unheard.stderr);
    t.regex(unheard.stdout, /^no hub follows this bucket yet, or none may say so$/m);
    await decidesBy(mute, unheard.version);
    await mute.saw("whoever pushes does not hear of this hub");

    const hub = await hubOn(t, as("hub"), "WEIR_POLICIES");
    await until(async () => (await hubNames(place)).length === 1);
    const heard = await place.push({ "a.yaml": refuses("/three") });
    t.is(heard.code, 0, heard.stdout);
    t.regex(heard.stdout, /^1 hub serves them, the last after/m);
    await decidesBy(mute, heard.version);
    t.is((await place.rollback()).version, unheard.version);
    t.is((await ask(hub, "/two")).allowed, false);
    // Nothing else is refused to any of them.
    const refusedTo = (each: Hub): readonly string[] =>
      [...each.stderr().matchAll(/Permissions Violation for \w+ to \\"(.*?)\.[^.]*?\\"/g)].map(
        ([, subject]) => subject!,
      );
    t.deepEqual(refusedTo(hub), []);
    t.deepEqual([...new Set(refusedTo(mute))], ["$KV.WEIR_POLICIES_HUBS"]);
    // A hub may not push.
    const thief = await operator(t, as("hub"), "WEIR_POLICIES");
    const stolen = await thief.push({ "a.yaml": refuses("/four") });
    t.is(stolen.code, 1);
    t.regex(stolen.stderr, /WEIR_PUSH.*Permissions Violation/);
    t.is((await ask(hub, "/two")).version, unheard.version);
  });

  test("a hub starts with its copy while NATS is away, and takes what was pushed when it is back", async (t) => {
    const own = (await startNats()) as NatsServer;
    t.teardown(() => own.dispose());
    const place = await operator(t, own, "AWAY");
    const first = await place.push({ "a.yaml": refuses("/one") });
    const hub = await hubOn(t, own, "AWAY");
    hub.process.kill("SIGTERM");
    await hub.exit;
    await own.kill();
    const again = await hubOn(t, own, "AWAY", "", hub.folder);
    t.deepEqual(await ask(again, "/one"), { allowed: false, version: first.version });
    t.is(await storeUp(again), "0");
    const unseen = await place.look("versions");
    t.is(unseen.code, 1);
    t.regex(unseen.stderr, /WEIR_PUSH.*nats is away/);
    const fresh = await t.throwsAsync(hubOn(t, own, "AWAY"));
    t.regex(fresh!.message, /WEIR_PUSHED_POLICIES.*nats is away/);

    const back = (await startNats({ port: own.port, folder: own.folder })) as NatsServer;
    t.teardown(() => back.dispose());
    const second = await place.push({ "a.yaml": refuses("/two") });
    t.is(second.version.length, 12, second.stderr);
    await decidesBy(again, second.version);
    t.false((await ask(again, "/two")).allowed);
    t.is(await storeUp(again), "1");
  });

  test("what is stored and is no policy set is refused, and nothing changes", async (t) => {
    const place = await operator(t, server, "HOSTILE");
    const good = await place.push({ "a.yaml": refuses("/one") });
    const hub = await hubOn(t, server, "HOSTILE");
    const nats = await connect({ servers: server.url });
    t.teardown(() => nats.close());
    const bucket = await new Kvm(nats).open("HOSTILE");
    const pointer = (version: string) =>
      JSON.stringify({
        version,
        time: new Date(0).toISOString(),
        before: [{ version: good.version, time: new Date(0).toISOString() }],
      });
    await bucket.put("set.0123456789ab", "no gzip at all");
    await bucket.put("current", pointer("0123456789ab"));
    await hub.saw("the pushed policies are refused");
    // The bytes of another set, under this name.
    await bucket.put("set.ba9876543210", (await bucket.get(`set.${good.version}`))!.value);
    await bucket.put("current", pointer("ba9876543210"));
    await hub.saw(`is stored as ba9876543210 is ${good.version}`);
    await bucket.put("current", "{");
    await hub.saw("cannot be had");
    t.deepEqual(await ask(hub, "/one"), { allowed: false, version: good.version });
    await bucket.put("current", pointer("ba9876543210"));
    const back = await place.rollback();
    t.is(back.code, 0, back.stdout + back.stderr);
    t.is(back.version, good.version);
  });

  test("a dry run shows what would change, and changes nothing", async (t) => {
    const place = await operator(t, server, "DRY");
    t.regex((await place.look("versions")).stdout, /no policies were pushed yet/);
    const first = await place.push({ "a.yaml": refuses("/one"), "b.yaml": refuses("/two", "b") });
    // The files of the folder are those of the last push, whatever it was.
    await place.push({ "a.yaml": refuses("/three"), "c/d.yaml": refuses("/two", "b") });
    await place.rollback();
    const tried = await place.look("push", "policies", "--dry-run");
    t.is(tried.code, 0, tried.stderr);
    t.regex(tried.stdout, new RegExp(`with 2 policies and 2 rules would be pushed \\(now: ${first.version}\\)`));
    t.regex(tried.stdout, /^ {2}~ a\.yaml\n {2}- b\.yaml\n {2}\+ c\/d\.yaml\nnothing was changed\n$/m);
    const versions = await place.look("versions");
    t.is(versions.code, 0);
    t.regex(
      versions.stdout,
      new RegExp(
        `^${first.version}  \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ  holds\n\nno hub follows this bucket yet, or none may say so\n$`,
      ),
    );
  });
}
