import { rm, symlink, writeFile } from "node:fs/promises";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { connect, metric, post, until } from "./clients.ts";
import { projectRoot, runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { check as mixerCheck, referenced, word } from "./mixer-wire.ts";

/** An adapter as a stranger writes it: a package that knows nothing of this project but "weir/sdk". */
const lab = `
import { existsSync } from "node:fs";
import { defineAdapter } from "weir/sdk";

const config = {
  "~standard": {
    version: 1, vendor: "lab",
    validate(value) {
      const { label = "none", ...rest } = value;
      if (typeof label !== "string") return { issues: [{ message: "label is a text", path: ["label"] }] };
      const [unknown] = Object.keys(rest);
      if (unknown !== undefined) return { issues: [{ message: "there is no such key", path: [unknown] }] };
      return { value: { label } };
    },
  },
};

export default defineAdapter({
  name: "lab",
  provides: ["check"],
  input: { do: "string", "gate?": "string" },
  config,
  create({ label }, host) {
    let calls = 0;
    let broken = false;
    host.log.info({ label }, \`made \${label}\`);
    return {
      async check(input, { signal }) {
        calls++;
        switch (input.do) {
          case "allow": return { allow: true };
          case "deny": return { allow: false, code: "failed_precondition", message: \`\${label} was asked \${calls} times\` };
          case "reject": throw new Error("secret of the backend");
          case "strange": return { allow: "perhaps" };
          case "break": broken = true; throw new Error("broken");
          case "while-broken": if (broken) throw new Error("broken"); return { allow: true };
          case "wait": {
            host.log.info({}, \`waits \${input.gate}\`);
            while (!existsSync(input.gate) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
            return { allow: true };
          }
          default: return new Promise(() => {});
        }
      },
      close() { host.log.info({ label, calls }, \`closed \${label}\`); },
    };
  },
});`;

const rule = (name: string, adapter: string, rest = "") =>
  `policy: ${name}\nmatch: destination.service.name == "${name}"\ncheck:\n  - name: ask\n    ask: ${adapter}\n    with: { do: request.method, gate: request.path }\n${rest}`;

/** A folder with an installed \`weir\` and the package of the adapter, as \`npm install\` leaves them. */
async function site(t: ExecutionContext, files: Record<string, string>): Promise<string> {
  const folder = await writeFolder({
    "node_modules/weir-adapter-lab/package.json": JSON.stringify({
      name: "weir-adapter-lab",
      version: "1.0.0",
      type: "module",
      exports: { import: "./index.js" },
    }),
    "node_modules/weir-adapter-lab/index.js": lab,
    ...files,
  });
  mkdirSync(join(folder, "policies"), { recursive: true });
  await symlink(projectRoot, join(folder, "node_modules/weir"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function hubIn(t: ExecutionContext, files: Record<string, string>): Promise<Hub> {
  const folder = await site(t, files);
  const hub = await startHub(files, { folder });
  t.teardown(() => hub.dispose());
  return hub;
}

const ask = async (hub: Hub, service: string, what: string, gate = "none") =>
  (
    await post(hub, "/v1/check", {
      attributes: { "destination.service.name": service, "request.method": what, "request.path": gate },
    })
  ).json;

test("an adapter outside the repository is named by its package or by its path", async (t) => {
  const hub = await hubIn(t, {
    "weir.yaml":
      "policies: ./policies\nadapters:\n  one: { adapter: weir-adapter-lab, label: package }\n  two: { adapter: ./mine/lab.mjs, label: path }\n",
    "mine/lab.mjs": lab,
    "policies/one.yaml": rule("one", "one"),
    "policies/two.yaml": rule("two", "two"),
  });
  t.true((await ask(hub, "one", "allow")).allowed);
  t.like(await ask(hub, "one", "deny"), { code: "failed_precondition", message: "package was asked 2 times" });
  t.like(await ask(hub, "two", "deny"), { code: "failed_precondition", message: "path was asked 1 times" });
  const { adapters } = (await (await fetch(`http://${hub.admin}/adapters`)).json()) as { adapters: object[] };
  t.like(adapters[0], { name: "one", adapter: "lab", provides: ["check"], ready: true, config: { label: "package" } });
});

/** Knows teams by their accounts, from a file that it looks at again and again. */
const teams = `
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineAdapter } from "weir/sdk";

const config = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };

export default defineAdapter({
  name: "teams",
  provides: ["attributes"],
  input: { account: "string" },
  outputs: { team: "string", labels: "string_map" },
  config,
  create({ file }, host) {
    const read = () => new Map(Object.entries(JSON.parse(readFileSync(join(host.folder, file), "utf8"))));
    let known = read();
    host.every(20, () => { known = read(); });
    return {
      attributes({ account }) {
        const team = known.get(account);
        return team && { team, labels: new Map([["tier", team.toUpperCase()]]) };
      },
    };
  },
});`;

test("attributes that an adapter makes decide checks and label what is reported, at each door", async (t) => {
  const hub = await hubIn(t, {
    "teams.json": '{"ann":"payments","bob":"books"}',
    "teams.mjs": teams,
    "weir.yaml": `policies: ./policies
adapters:
  teams: { adapter: ./teams.mjs, file: teams.json }
attributes:
  source.team: { type: string, from: teams, output: team, with: { account: source.principal } }
  source.labels: { type: string_map, from: teams, output: labels, with: { account: source.principal } }
`,
    "policies/pay.yaml": `policy: pay
check:
  - { name: payers, deny: permission_denied, unless: source.team == "payments" }
report:
  - { metric: calls_total, type: counter, labels: { team: source.team, tier: 'source.labels["tier"]' } }
`,
    "policies/pay.test.yaml": `policy: pay.yaml
cases:
  - { name: a payer passes, given: { source.team: payments }, expect: allow }
  - { name: nobody is known here, given: { source.principal: ann }, expect: { deny: permission_denied } }
  - name: the adapter itself knows
    adapters: { teams: { answer: real } }
    given: { source.principal: ann }
    expect: allow
  - name: the adapter fails
    adapters: { teams: { answer: error } }
    given: { source.principal: ann }
    expect: { deny: permission_denied }
`,
  });
  const as = async (account: string) =>
    (await post(hub, "/v1/check", { attributes: { "source.principal": account } })).json;
  t.like(await as("ann"), { allowed: true, referenced: ["-source.team", "source.principal"] });
  t.like(await as("bob"), { allowed: false, code: "permission_denied" });
  await writeFile(join(hub.folder, "teams.json"), '{"ann":"payments","bob":"payments"}');
  await until(async () => (await as("bob")).allowed);

  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const wire = { words: ["ann"], strings: { [word["source.principal"]]: -1 } };
  const answer = await mixerCheck(client, wire, { globalWordCount: 0 });
  t.is(answer.precondition!.status!.code, 0);
  t.deepEqual(referenced(answer.precondition!.referencedAttributes!), ["-source.team", "source.principal"]);

  const reports = ["ann", "bob", "eve"].map((account) => ({ "source.principal": account }));
  t.is((await post(hub, "/v1/report", { reports })).json.taken, 3);
  const metrics = await (await fetch(`http://${hub.admin}/metrics`)).text();
  t.true(metrics.includes('calls_total{team="payments",tier="PAYMENTS"} 2\n'), metrics);
  t.true(metrics.includes('calls_total{team="unknown",tier="unknown"} 1\n'), metrics);

  const tested = await runWeir(["test", "policies"], { cwd: hub.folder });
  t.is(tested.code, 0, tested.stdout + tested.stderr);
  t.true(tested.stdout.includes("4 passed"));
});

const exported = (fields: string) =>
  `const config = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };\nexport default { name: "odd", provides: ["check"], config, create: () => ({ check: () => ({ allow: true }) }), ${fields} };`;

const unusable: readonly { title: string; module: string; says: RegExp }[] = [
  {
    title: "no default export",
    module: "export const adapter = {};",
    says: /does not export an adapter: it has no default export/,
  },
  {
    title: "a capability that there is not",
    module: exported('provides: ["cheque"]'),
    says: /provides names "cheque", known are check, quota, holds, attributes, metrics, logs, spans/,
  },
  {
    title: "a config that is no schema",
    module: exported("config: { port: 1 }"),
    says: /config is no Standard Schema/,
  },
  {
    title: "an output of a type that there is not",
    module: exported('provides: ["attributes"], outputs: { team: "text" }'),
    says: /its output "team" has the type "text", which is none/,
  },
  {
    title: "a key that is misspelt",
    module: exported("inputs: { user: 'string' }"),
    says: /it has no "inputs": did you mean "input"\?/,
  },
  {
    title: "a misspelt key that few adapters have",
    module: exported("shwon: () => ({ onAdminPage: true, names: [] })"),
    says: /it has no "shwon": did you mean "shown"\?/,
  },
  { title: "no create", module: exported("create: 5"), says: /create is no function/ },
  { title: "no JavaScript", module: "export default {", says: /could not be imported: Unexpected end of input/ },
  { title: "a fault at import", module: 'throw new Error("at import");', says: /could not be imported: at import/ },
];

const unmakeable: typeof unusable = [
  {
    title: "a method that it declares and lacks",
    module: exported('provides: ["check", "quota"]'),
    says: /it declares quota but its instance has no such method/,
  },
  {
    title: "a throw in create",
    module: exported('create() { throw new Error("no connection to 10.0.0.1"); }'),
    says: /no connection to 10\.0\.0\.1/,
  },
];

const quiet = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json-ready"];

for (const [what, modules, column] of [
  ["shape", unusable, 18],
  ["making", unmakeable, 3],
] as const) {
  test(`adapters that are wrong in their ${what} are refused at start, each at its place in weir.yaml`, async (t) => {
    const folder = await site(t, {
      "weir.yaml": `policies: ./policies\nadapters:\n${modules.map((_, i) => `  a${i}: { adapter: ./a${i}.mjs }\n`).join("")}`,
      ...Object.fromEntries(modules.map(({ module }, i) => [`a${i}.mjs`, module])),
    });
    const { code, stdout, stderr } = await runWeir(["serve", ...quiet], { cwd: folder });
    t.is(code, 1);
    t.is(stdout, "");
    for (const [i, { title, says }] of modules.entries()) {
      const at = stderr.indexOf(`weir.yaml:${i + 3}:${column}: error[WEIR_ADAPTER_LOAD]`);
      t.true(at >= 0, title);
      const [message = "", , line = "", caret = ""] = stderr.slice(at).split("\n");
      t.regex(message, says);
      t.regex(line, new RegExp(`^${i + 3} \\|   a${i}: \\{ adapter`));
      t.regex(caret, /\^/);
    }
  });
}

test("a package that is not there, a configuration that is wrong and a missing capability are refused together", async (t) => {
  const folder = await site(t, {
    "weir.yaml": `policies: ./policies
adapters:
  gone: { adapter: weir-adapter-gone }
  one: { adapter: weir-adapter-lab, label: 5 }
  two: { adapter: weir-adapter-lab, labl: x }
  three: { adapter: weir-adapter-lab }
`,
    "policies/limit.yaml": "policy: limit\ncheck:\n  - name: l\n    limit: 1/s\n    via: three\n",
  });
  const { code, stderr } = await runWeir(["validate"], { cwd: folder });
  t.is(code, 1);
  t.regex(stderr, /weir\.yaml:3:20: error\[WEIR_ADAPTER_LOAD\].*weir-adapter-gone/);
  t.regex(stderr, /weir\.yaml:4:44: error\[WEIR_ADAPTER_CONFIG\]: label is a text/);
  t.regex(stderr, /weir\.yaml:5:\d+: error\[WEIR_ADAPTER_CONFIG\].*there is no such key/);
  t.regex(stderr, /policies\/limit\.yaml:5:10: error\[WEIR_POLICY_CAPABILITY\]/);
});

test("an instance stays over a reload that does not change its entry, and is closed after its last call when it does", async (t) => {
  const config = (label: string) =>
    `policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters:\n  one: { adapter: weir-adapter-lab, label: ${label} }\n  two: { adapter: weir-adapter-lab, label: stays }\n`;
  const hub = await hubIn(t, {
    "weir.yaml": config("first"),
    "policies/one.yaml": rule("one", "one"),
    "policies/two.yaml": rule("two", "two"),
  });
  t.is((await ask(hub, "two", "deny")).message, "stays was asked 1 times");
  const gate = join(hub.folder, "gate");
  const slow = ask(hub, "one", "wait", gate);
  await hub.saw(`waits ${gate}`);
  await writeFile(join(hub.folder, "weir.yaml"), config("second"));
  await hub.saw("made second");
  await until(async () => (await ask(hub, "one", "deny")).message.startsWith("second"));
  // The first is still at work on its last call.
  t.false(hub.stderr().includes("closed first"));
  t.is((await ask(hub, "two", "deny")).message, "stays was asked 2 times");
  await writeFile(gate, "");
  t.true((await slow).allowed);
  await hub.saw("closed first");
  t.false(hub.stderr().includes("closed stays"));
  t.is(hub.stderr().split("made stays").length, 2);
  hub.process.kill("SIGTERM");
  t.deepEqual(await hub.exit, { code: 0, signal: null });
  t.true(hub.stderr().includes("closed second"));
  t.true(hub.stderr().includes("closed stays"));
});

test("a reload to an adapter that cannot be made changes nothing", async (t) => {
  const good = "policies: ./policies\nadapters:\n  one: { adapter: weir-adapter-lab, label: good }\n";
  const hub = await hubIn(t, {
    "weir.yaml": good,
    "policies/one.yaml": rule("one", "one"),
    "odd.mjs": exported('create() { throw new Error("no connection"); }'),
  });
  await writeFile(join(hub.folder, "weir.yaml"), good.replace("good", "bad") + "  odd: { adapter: ./odd.mjs }\n");
  await hub.saw("reload refused");
  t.is((await ask(hub, "one", "deny")).message, "good was asked 1 times");
  const status = (await (await fetch(`http://${hub.admin}/status`)).json()) as any;
  t.regex(status.last_reload.problems.join("\n"), /weir\.yaml:4:3.*no connection/s);
  // What was made for the set that is refused is let go.
  await hub.saw("closed bad");
});

test("a module that is mended or changed is taken up by the next reload", async (t) => {
  const answering = (message: string) =>
    exported(`create: () => ({ check: () => ({ allow: false, message: "${message}" }) })`);
  const config = "policies: ./policies\nadapters:\n  one: { adapter: ./one.mjs }\n";
  const hub = await hubIn(t, {
    "weir.yaml": config,
    "one.mjs": answering("first"),
    "policies/one.yaml": "policy: one\ncheck:\n  - name: ask\n    ask: one\n",
  });
  t.is((await ask(hub, "one", "x")).message, "first");
  await writeFile(join(hub.folder, "two.mjs"), "export default {");
  await writeFile(join(hub.folder, "weir.yaml"), `${config}  two: { adapter: ./two.mjs }\n`);
  await hub.saw("Unexpected end of input");
  await writeFile(join(hub.folder, "two.mjs"), answering("two"));
  await writeFile(join(hub.folder, "one.mjs"), answering("second"));
  hub.process.kill("SIGHUP");
  await until(async () => (await ask(hub, "one", "x")).message === "second");
  const { last_reload } = (await (await fetch(`http://${hub.admin}/status`)).json()) as any;
  t.true(last_reload.ok);
});

const failing = `policies: ./policies
check: { adapterTimeout: 200ms }
adapters:
  denied: { adapter: weir-adapter-lab }
  passed: { adapter: weir-adapter-lab }
  hung: { adapter: weir-adapter-lab }
`;

test("what an adapter's failure means is said by onError, and the cause is not for callers", async (t) => {
  const hub = await hubIn(t, {
    "weir.yaml": failing,
    "policies/denied.yaml": rule("denied", "denied"),
    "policies/passed.yaml": rule("passed", "passed", "    onError: allow\n"),
  });
  for (const what of ["reject", "strange", "never"]) {
    const denied = await ask(hub, "denied", what);
    t.like(denied, { allowed: false, code: "unavailable", valid_for: "0s", rules: ["denied/ask"] }, what);
    t.is(denied.http.status, 503);
    t.false(JSON.stringify(denied).includes("secret"));
    const passed = await ask(hub, "passed", what);
    t.like(passed, { allowed: true, valid_for: "0s", valid_uses: 0 }, what);
  }
  t.true(hub.stderr().includes("secret of the backend"));
  const outcomes = (outcome: string) =>
    metric(hub, "weir_adapter_calls_total", { adapter: "denied", capability: "check", outcome });
  t.is(await outcomes("fault"), 2);
  t.is(await outcomes("timeout"), 1);
});

test("a slow adapter does not hold up others, nor requests that do not ask it", async (t) => {
  const hub = await hubIn(t, {
    "weir.yaml": failing.replace("200ms", "60s"),
    "policies/denied.yaml": rule("denied", "denied"),
    "policies/hung.yaml": rule("hung", "hung"),
  });
  const gate = join(hub.folder, "gate");
  const slow = Array.from({ length: 200 }, () => ask(hub, "hung", "wait", gate));
  await hub.saw(`waits ${gate}`);
  for (let i = 0; i < 50; i++) {
    t.true((await ask(hub, "denied", "allow")).allowed);
    t.true((await ask(hub, "nobody", "allow")).allowed);
  }
  await writeFile(gate, "");
  for (const { allowed } of await Promise.all(slow)) t.true(allowed);
});

test("a broken adapter is left alone by the circuit breaker, and asked again after a while", async (t) => {
  const hub = await hubIn(t, {
    "weir.yaml": failing,
    "policies/denied.yaml": rule("denied", "denied"),
    "policies/passed.yaml": rule("passed", "passed"),
  });
  const outcomes = (outcome: string) => metric(hub, "weir_adapter_calls_total", { adapter: "denied", outcome });
  for (let i = 0; i < 10; i++) t.is((await ask(hub, "denied", "reject")).code, "unavailable");
  t.is((await ask(hub, "denied", "allow")).code, "unavailable");
  t.is(await outcomes("fault"), 10);
  t.is(await outcomes("open"), 1);
  t.true((await ask(hub, "passed", "allow")).allowed);
  await until(async () => (await ask(hub, "denied", "allow")).allowed);
  t.true((await ask(hub, "denied", "allow")).allowed);
});
