import { spawn } from "node:child_process";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { mainFile, runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { leashed } from "./leash.ts";

const denyAll = (message: string) =>
  `policy: door\ncheck:\n  - name: closed\n    deny: permission_denied\n    message: ${message}\n`;

async function hubFor(t: ExecutionContext, files: Record<string, string>, args: readonly string[] = []): Promise<Hub> {
  const hub = await startHub(files, { args });
  t.teardown(() => hub.dispose());
  return hub;
}

interface Answer {
  readonly allowed: boolean;
  readonly message: string;
  readonly version: string;
  readonly rules: readonly string[];
}

async function check(hub: Hub, attributes: Record<string, unknown> = {}): Promise<Answer> {
  const response = await fetch(`http://${hub.http}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ attributes }),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

async function status(
  hub: Hub,
): Promise<{ last_reload?: { ok: boolean; problems: string[] }; [key: string]: unknown }> {
  return (await (await fetch(`http://${hub.admin}/status`)).json()) as never;
}

/** Asks again and again until the hub says what is waited for; ava's own time limit ends a wait in vain. */
async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("serves with no weir.yaml and an empty folder, and lets everything pass", async (t) => {
  const hub = await hubFor(t, { "policies/readme.txt": "nothing here" });
  t.true((await check(hub)).allowed);
  t.is((await fetch(`http://${hub.admin}/readyz`)).status, 200);
});

test("says where it listens, what it has loaded, and two commands to paste whose answers are as told", async (t) => {
  const folder = await writeFolder({
    "policies/ratings.yaml":
      "policy: ratings\ncheck:\n  - name: only-reviews\n    deny: permission_denied\n    unless: source.namespace == 'reviews'\n",
    "policies/ratings.test.yaml":
      "cases:\n  - name: reviews may\n    given: { source.namespace: reviews }\n    expect: allow\n  - name: others may not\n    given: { source.namespace: web }\n    expect: { deny: permission_denied }\n",
  });
  t.teardown(() => rm(folder, { recursive: true }));
  const args = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const child = spawn(...leashed(process.execPath, [mainFile, ...args]), { cwd: folder });
  t.teardown(() => child.kill("SIGKILL"));
  let out = "";
  for await (const chunk of child.stdout) {
    out += String(chunk);
    if (out.includes("-> refused")) break;
  }
  t.regex(out, /gRPC doors\s+127\.0\.0\.1:\d+/);
  t.regex(out, /HTTP doors\s+http:\/\/127\.0\.0\.1:\d+/);
  t.regex(out, /admin\s+http:\/\/127\.0\.0\.1:\d+/);
  t.regex(out, /1 policies|1 policy/);
  const commands = [...out.matchAll(/npx weir (check .*)/g)].map((m) => m[1]!.split(" "));
  t.is(commands.length, 2);
  t.is((await runWeir(commands[0]!)).code, 0);
  t.is((await runWeir(commands[1]!)).code, 2);
});

test("with --json-ready the first line is where it listens, and nothing else; it serves by then", async (t) => {
  const folder = await writeFolder({ "policies/readme.txt": "" });
  t.teardown(() => rm(folder, { recursive: true }));
  const free = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const child = spawn(...leashed(process.execPath, [mainFile, "serve", ...free, "--json-ready"]), { cwd: folder });
  t.teardown(() => child.kill("SIGKILL"));
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  t.regex(String(first), /^\{"grpc":"127\.0\.0\.1:\d+","http":"127\.0\.0\.1:\d+","admin":"127\.0\.0\.1:\d+"\}\n$/);
  const { http, admin } = JSON.parse(String(first)) as Record<string, string>;
  t.is((await fetch(`http://${admin}/readyz`)).status, 200);
  t.is((await fetch(`http://${http}/openapi.json`)).status, 200);
});

test("names a few of many policies, and where the others are shown", async (t) => {
  const many = Array.from({ length: 25 }, (_, i) => `policy: p${i}\nreport: [{ log: access }]\n`).join("---\n");
  const folder = await writeFolder({ "policies/many.yaml": many });
  t.teardown(() => rm(folder, { recursive: true }));
  const args = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const child = spawn(...leashed(process.execPath, [mainFile, ...args]), { cwd: folder });
  t.teardown(() => child.kill("SIGKILL"));
  let out = "";
  for await (const chunk of child.stdout) {
    out += String(chunk);
    if (out.includes(" more: ")) break;
  }
  t.is([...out.matchAll(/0 check, 1 report/g)].length, 20);
  t.regex(out, /and 5 more: http:\/\/127\.0\.0\.1:\d+\/policies\n/);
});

test("refuses to start on mistakes, and shows all of them with place and caret", async (t) => {
  const folder = await writeFolder({
    "policies/a.yaml":
      "policy: a\ncheck:\n  - name: one\n    deny: permission_denied\n    unles: source.namespace == 'x'\n",
    "policies/b.yaml": "policy: b\ncheck:\n  - name: two\n    limit: 0/s\n",
  });
  t.teardown(() => rm(folder, { recursive: true }));
  const { code, stdout, stderr } = await runWeir(["serve", "--grpc", "127.0.0.1:0", "--json-ready"], { cwd: folder });
  t.is(code, 1);
  t.is(stdout, "");
  t.regex(stderr, /policies\/a\.yaml:5:5: error\[WEIR_POLICY_UNKNOWN_KEY\]/);
  t.regex(stderr, /\^\^\^\^\^/);
  t.regex(stderr, /did you mean "unless"\?/);
  t.regex(stderr, /policies\/b\.yaml:4:12: error\[WEIR_POLICY_RATE\]/);
});

test("refuses to start on an address that is taken, and says which", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const folder = await writeFolder({ "policies/readme.txt": "" });
  t.teardown(() => rm(folder, { recursive: true }));
  const free = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const { code, stderr } = await runWeir(["serve", "--grpc", taken, ...free], { cwd: folder });
  t.is(code, 1);
  t.true(stderr.includes("WEIR_LISTEN"));
  t.true(stderr.includes(taken));
});

test("drains on SIGTERM: not ready, calls in flight end, exit status 0", async (t) => {
  const hub = await hubFor(t, {
    "policies/slow.yaml": "policy: slow\ncheck:\n  - name: ask\n    ask: slow\n    with: { gate: request.path }\n",
    "weir.yaml": "policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters:\n  slow: { adapter: ./slow.mjs }\n",
    // Answers when the file that the request names is there.
    "slow.mjs": `
      import { existsSync } from "node:fs";
      const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
      export default {
        name: "slow", provides: ["check"], input: { gate: "string" }, config: any,
        create: (config, host) => ({
          check: ({ gate }) => new Promise((resolve) => {
            host.log.info({}, "asked");
            const look = setInterval(() => { if (existsSync(gate)) { clearInterval(look); resolve({ allow: true }); } }, 5);
          }),
          close() { host.log.info({}, "slow is closed"); },
        }),
      };`,
  });
  const gate = join(hub.folder, "gate");
  const call = check(hub, { "request.path": gate });
  await hub.saw('"asked"');
  hub.process.kill("SIGTERM");
  await hub.saw("stopping");
  await writeFile(gate, "");
  t.true((await call).allowed);
  t.deepEqual(await hub.exit, { code: 0, signal: null });
  t.true(hub.stderr().includes("slow is closed"));
});

test("exits at once on a second signal", async (t) => {
  const hub = await hubFor(t, {
    "policies/slow.yaml": "policy: slow\ncheck:\n  - name: ask\n    ask: never\n    with: {}\n",
    "weir.yaml": "policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters:\n  never: { adapter: ./never.mjs }\n",
    "never.mjs": `
      const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
      export default { name: "never", provides: ["check"], config: any,
        create: (config, host) => ({ check: () => { host.log.info({}, "asked"); return new Promise(() => {}); } }) };`,
  });
  check(hub).catch(() => undefined);
  await hub.saw('"asked"');
  hub.process.kill("SIGTERM");
  await hub.saw("stopping");
  hub.process.kill("SIGTERM");
  t.is((await hub.exit).code, 143);
});

test("takes up files that are edited in place, renamed over, added and removed", async (t) => {
  const hub = await hubFor(t, {
    "policies/door.yaml": denyAll("first"),
    "policies/weir.yaml": "policies: .\nallowEmpty: true\n",
  });
  const file = join(hub.folder, "policies/door.yaml");
  t.is((await check(hub)).message, "first");
  await writeFile(file, denyAll("edited"));
  await until(async () => (await check(hub)).message === "edited");
  await writeFile(join(hub.folder, "policies/.door.yaml.swp"), denyAll("renamed"));
  await rename(join(hub.folder, "policies/.door.yaml.swp"), file);
  await until(async () => (await check(hub)).message === "renamed");
  await mkdir(join(hub.folder, "policies/more"));
  await writeFile(
    join(hub.folder, "policies/more/a.yaml"),
    "policy: a-first\ncheck:\n  - { name: x, deny: unauthenticated, message: added }\n",
  );
  await until(async () => (await check(hub)).rules.length === 2);
  await rm(join(hub.folder, "policies/more"), { recursive: true });
  await rm(file);
  await until(async () => (await check(hub)).allowed);
  t.pass();
});

test("takes up a mounted folder whose symlink is swapped", async (t) => {
  const folder = await writeFolder({
    "v1/door.yaml": denyAll("one"),
    "v2/door.yaml": denyAll("two"),
    "policies/readme.txt": "",
  });
  t.teardown(() => rm(folder, { recursive: true }));
  const policies = join(folder, "policies");
  await symlink("../v1", join(policies, "..data"));
  await symlink("..data/door.yaml", join(policies, "door.yaml"));
  const hub = await startHub({}, { folder });
  t.teardown(() => hub.dispose());
  t.is((await check(hub)).message, "one");
  await symlink("../v2", join(policies, "..tmp"));
  await rename(join(policies, "..tmp"), join(policies, "..data"));
  await until(async () => (await check(hub)).message === "two");
  t.pass();
});

test("reloads on SIGHUP", async (t) => {
  const hub = await hubFor(t, { "policies/door.yaml": denyAll("first") });
  hub.process.kill("SIGHUP");
  await hub.saw("policies reloaded");
  t.true(hub.stderr().includes("SIGHUP"));
});

test("goes on with the old policies when the new ones have a mistake, and says why", async (t) => {
  const hub = await hubFor(t, { "policies/door.yaml": denyAll("good") });
  const { version } = await check(hub);
  await writeFile(join(hub.folder, "policies/door.yaml"), denyAll("bad").replace("deny:", "dney:"));
  await until(async () => (await status(hub)).last_reload?.ok === false);
  const answer = await check(hub);
  t.is(answer.message, "good");
  t.is(answer.version, version);
  t.true((await status(hub)).last_reload!.problems.some((text) => text.includes('did you mean "deny"?')));
  await hub.saw("reload refused");
  const many = Array.from({ length: 50 }, (_, i) => `  - { name: r${i}, dney: aborted }\n`).join("");
  await writeFile(join(hub.folder, "policies/door.yaml"), `policy: door\ncheck:\n${many}`);
  await until(async () => (await status(hub)).last_reload!.problems.length > 20);
  await hub.saw("not every problem is logged");
  t.true([...hub.stderr().matchAll(/a mistake in the policies/g)].length < 25);
  await writeFile(join(hub.folder, "policies/door.yaml"), denyAll("mended"));
  await until(async () => (await check(hub)).message === "mended");
});

test("does not fall back to defaults when weir.yaml is gone", async (t) => {
  // It is found in the current folder: nobody has named it.
  const folder = await writeFolder({
    "weir.yaml": "check: { validFor: 7s }\n",
    "policies/door.yaml": denyAll("closed"),
  });
  const hub = await startHub({}, { folder });
  t.teardown(() => hub.dispose());
  const { version } = await check(hub);
  await rename(join(hub.folder, "weir.yaml"), join(hub.folder, "weir.away"));
  await until(async () => (await status(hub)).last_reload?.ok === false);
  t.regex((await status(hub)).last_reload!.problems.join(), /weir\.yaml:1:1: error\[WEIR_FILE_UNREADABLE\]/);
  t.is((await check(hub)).version, version);
  await rename(join(hub.folder, "weir.away"), join(hub.folder, "weir.yaml"));
  await until(async () => (await status(hub)).last_reload?.ok === true);
  t.is((await check(hub)).version, version);
});

test("keeps the counts of limits over a reload that does not touch them", async (t) => {
  const limit = "policy: limits\ncheck:\n  - name: two\n    limit: 2/h\n";
  const hub = await hubFor(t, {
    "policies/limits.yaml": limit,
    "policies/door.yaml": denyAll("x").replace("check:", "match: request.path == '/x'\ncheck:"),
  });
  t.true((await check(hub)).allowed);
  t.true((await check(hub)).allowed);
  const { version } = await check(hub);
  await writeFile(
    join(hub.folder, "policies/door.yaml"),
    denyAll("y").replace("check:", "match: request.path == '/y'\ncheck:"),
  );
  await until(async () => (await check(hub)).version !== version);
  t.false((await check(hub)).allowed);
});

test("two hubs run side by side", async (t) => {
  const [one, two] = await Promise.all([
    hubFor(t, { "policies/door.yaml": denyAll("one") }),
    hubFor(t, { "policies/door.yaml": denyAll("two") }),
  ]);
  t.is((await check(one)).message, "one");
  t.is((await check(two)).message, "two");
});
