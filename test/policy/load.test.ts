import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import type { ExecutionContext } from "ava";
import { builtinAdapters } from "../../adapters/index.ts";
import { loadPolicies, ownPart } from "../../src/policy/index.ts";
import type { Loaded, LoadOptions } from "../../src/policy/index.ts";
import { adapters } from "./adapters.ts";

/** A folder of its own with these files, gone after the test. */
async function folderWith(t: ExecutionContext, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-load-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** Loads a folder; of the policies that ship with Weir nothing is shown. */
async function load(cwd: string, options: Partial<LoadOptions> = {}): Promise<Loaded> {
  const loaded = await loadPolicies({ cwd, adapters, ...options });
  if ("problems" in loaded) return loaded;
  const { snapshot } = loaded;
  return { ...loaded, snapshot: { ...snapshot, policies: ownPart(snapshot).policies } };
}

const problemsOf = (loaded: Loaded) =>
  ("problems" in loaded ? loaded.problems : loaded.warnings).map(
    ({ file, line, column, code, message }) => `${file}:${line}:${column} ${code} ${message}`,
  );

const policy = (name: string) => `policy: ${name}\ncheck: [{ name: x, deny: aborted }]\n`;

test("finds policies in folders within the folder, and leaves tests and hidden files out", async (t) => {
  const cwd = await folderWith(t, {
    "policies/a.yaml": policy("a"),
    "policies/team/b.yml": policy("b"),
    "policies/team/b.test.yaml": "tests: no policy",
    "policies/.a.yaml.swp": "no policy",
    "policies/weir.yaml": "adapters: {}",
    "policies/.hidden/c.yaml": "no: policy",
    "policies/README.md": "no policy",
  });
  const loaded = await load(cwd);
  t.deepEqual(problemsOf(loaded), []);
  t.deepEqual("snapshot" in loaded && loaded.snapshot.policies.map(({ name, place }) => [name, place.file]), [
    ["a", "policies/a.yaml"],
    ["b", "policies/team/b.yml"],
  ]);
  t.deepEqual(loaded.files, [join(cwd, "weir.yaml"), join(cwd, "policies")]);
});

test("the configuration may lie among the policies, and its paths are meant from where it lies", async (t) => {
  const cwd = await folderWith(t, { "etc/hub.yaml": "policies: .\n", "etc/a.yaml": policy("a") });
  const loaded = await load(cwd, { config: "etc/hub.yaml" });
  t.deepEqual(problemsOf(loaded), []);
  t.is("snapshot" in loaded && loaded.snapshot.settings.folder, join(cwd, "etc"));
  t.is("snapshot" in loaded && loaded.snapshot.policies.length, 1);
});

test("a folder that is handed in wins over the one of weir.yaml", async (t) => {
  const cwd = await folderWith(t, { "weir.yaml": "policies: nowhere\n", "other/a.yaml": policy("a") });
  t.deepEqual(problemsOf(await load(cwd, { policies: "other" })), []);
});

test("without a weir.yaml in the current folder, the one in the folder that is handed in holds", async (t) => {
  const cwd = await folderWith(t, {
    "mesh/weir.yaml": "policies: ./nowhere\ncheck: { validFor: 7s }\n",
    "mesh/a.yaml": policy("a"),
    "other/a.yaml": policy("a"),
  });
  const validFor = (loaded: Loaded) => "snapshot" in loaded && loaded.snapshot.settings.check.validForMs;
  const inFolder = await load(cwd, { policies: "mesh" });
  t.deepEqual(problemsOf(inFolder), []);
  t.is(validFor(inFolder), 7000);
  t.is(inFolder.config, join(cwd, "mesh/weir.yaml"));
  t.deepEqual(inFolder.files, [join(cwd, "weir.yaml"), join(cwd, "mesh/weir.yaml"), join(cwd, "mesh")]);
  t.is((await load(cwd, { policies: "other" })).config, undefined);

  await writeFile(join(cwd, "weir.yaml"), "check: { validFor: 8s }\n");
  t.is(validFor(await load(cwd, { policies: "mesh" })), 8000);
});

test("what is read is told of before it is read, so that a change meanwhile can be noticed", async (t) => {
  const cwd = await folderWith(t, { "weir.yaml": "policies: ./a\n", "a/a.yaml": policy("a"), "b/b.yaml": policy("b") });
  const told: string[] = [];
  const loaded = await load(cwd, {
    async beforeReading(paths) {
      told.push(...paths);
      if (told.length === 1) await writeFile(join(cwd, "weir.yaml"), "policies: ./b\n");
    },
  });
  t.deepEqual(told, [join(cwd, "weir.yaml"), join(cwd, "b")]);
  t.deepEqual(told, loaded.files);
});

test("a mounted ConfigMap is read once, through its links", async (t) => {
  const cwd = await folderWith(t, { "mount/..2026_11_21/a.yaml": policy("a") });
  await symlink("..2026_11_21", join(cwd, "mount/..data"));
  await symlink("..data/a.yaml", join(cwd, "mount/a.yaml"));
  const loaded = await load(cwd, { policies: "mount" });
  t.deepEqual(problemsOf(loaded), []);
  t.is("snapshot" in loaded && loaded.snapshot.policies.length, 1);
});

test("links to folders are followed, not in circles", async (t) => {
  const cwd = await folderWith(t, { "policies/a.yaml": policy("a"), "shared/b.yaml": policy("b") });
  await symlink("../shared", join(cwd, "policies/shared"));
  await symlink("..", join(cwd, "policies/up"));
  await symlink("self", join(cwd, "policies/self"));
  const loaded = await load(cwd);
  t.deepEqual(problemsOf(loaded), []);
  t.is("snapshot" in loaded && loaded.snapshot.policies.length, 2);
});

test("what cannot be read is a problem of its own, beside those of the files that can", async (t) => {
  const cwd = await folderWith(t, {
    "policies/bad.yaml": "chek: []\n",
    "policies/bytes.yaml": Uint8Array.of(0x61, 0x0a, 0xff, 0xfe),
    "policies/folder.yaml/x.txt": "",
    "policies/big.yaml": `# ${"x".repeat(1024)}`,
    "weir.yaml": "limits: { policy: 1KiB }\n",
  });
  await symlink("nowhere.yaml", join(cwd, "policies/link.yaml"));
  t.deepEqual(problemsOf(await load(cwd)), [
    'policies/bad.yaml:1:1 WEIR_POLICY_SHAPE a policy needs the key "policy": a name of letters, digits and . _ - (at most 100 characters)',
    'policies/bad.yaml:1:1 WEIR_POLICY_UNKNOWN_KEY unknown key "chek"',
    "policies/big.yaml:1:1 WEIR_FILE_TOO_LARGE the file is larger than 1024 bytes",
    "policies/bytes.yaml:1:1 WEIR_FILE_UNREADABLE the file could not be read: it is not UTF-8 text (line 2)",
    "policies/folder.yaml:1:1 WEIR_FILE_UNREADABLE the file could not be read: a folder stands where a file is expected",
    "policies/link.yaml:1:1 WEIR_FILE_UNREADABLE the file could not be read: its link leads nowhere",
  ]);
});

test("a file and a folder without permission", async (t) => {
  if (process.getuid?.() === 0) return void t.pass("the superuser may read everything");
  const cwd = await folderWith(t, { "policies/a.yaml": policy("a"), "policies/team/b.yaml": policy("b") });
  await chmod(join(cwd, "policies/a.yaml"), 0);
  await chmod(join(cwd, "policies/team"), 0);
  const found = problemsOf(await load(cwd));
  await chmod(join(cwd, "policies/team"), 0o700);
  t.deepEqual(found, [
    "policies/a.yaml:1:1 WEIR_FILE_UNREADABLE the file could not be read: its permissions do not allow it to be read",
    "policies/team:1:1 WEIR_FILE_UNREADABLE the file could not be read: its permissions do not allow it to be read",
  ]);
});

test("a folder that is not there", async (t) => {
  const cwd = await folderWith(t, { file: "" });
  const loaded = await load(cwd);
  t.deepEqual(problemsOf(loaded), [
    "policies:1:1 WEIR_FILE_UNREADABLE the file could not be read: there is no such file or folder",
  ]);
  t.is(
    "problems" in loaded && loaded.problems[0]?.hint,
    "the folder of the policies is named by --policies, or by policies: in weir.yaml",
  );
  t.deepEqual(problemsOf(await load(cwd, { policies: "file" })), [
    "file:1:1 WEIR_FILE_UNREADABLE the file could not be read: a file stands where a folder is expected",
  ]);
});

test("an empty folder is warned of", async (t) => {
  const cwd = await folderWith(t, { "policies/README": "" });
  const loaded = await load(cwd);
  t.true("snapshot" in loaded);
  t.deepEqual(problemsOf(loaded), [
    "policies:1:1 WEIR_POLICY_NO_RULES the folder has no policy files (*.yaml): every request passes",
  ]);
});

test("files without a policy in any of them are warned of", async (t) => {
  const cwd = await folderWith(t, { "policies/a.yaml": "", "policies/b.yaml": "# nothing yet\n" });
  const expected = ["policies:1:1 WEIR_POLICY_NO_RULES no file of the folder has a policy: every request passes"];
  t.deepEqual(problemsOf(await load(cwd)), expected);
  await writeFile(join(cwd, "policies/c.yaml"), policy("c"));
  t.deepEqual(problemsOf(await load(cwd)), []);
});

test("a weir.yaml that is named must be there; one that is not named need not be, but must be readable", async (t) => {
  const cwd = await folderWith(t, { "policies/a.yaml": policy("a") });
  t.deepEqual(problemsOf(await load(cwd)), []);
  const missing = ["weir.yml:1:1 WEIR_FILE_UNREADABLE the file could not be read: there is no such file or folder"];
  t.deepEqual(problemsOf(await load(cwd, { config: "weir.yml" })), missing);
  t.deepEqual(
    problemsOf(await load(cwd, { config: "weir.yml", policies: "nowhere" })),
    missing,
    "nothing is said of policies that cannot be judged without it",
  );
  await symlink("nowhere", join(cwd, "weir.yaml"));
  t.deepEqual(problemsOf(await load(cwd)), [
    "weir.yaml:1:1 WEIR_FILE_UNREADABLE the file could not be read: its link leads nowhere",
  ]);
});

test("paths outside the current folder are shown whole", async (t) => {
  const cwd = await folderWith(t, { "in/x": "", "out/a.yaml": "chek: 1\npolicy: a\n" });
  t.deepEqual(problemsOf(await load(join(cwd, "in"), { policies: "../out" })), [
    `${join(cwd, "out/a.yaml")}:1:1 WEIR_POLICY_UNKNOWN_KEY unknown key "chek"`,
  ]);
});

const adapterModule = (name: string, more = "") =>
  `export default { name: "${name}", provides: ["check"], input: { value: "any" }, create() { return { check: () => ({ allow: true }) }; },
    config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: { ...value, seen: true } }) } } ${more} };`;

test("adapters of one's own are imported by path and by package, and used by rules", async (t) => {
  const cwd = await folderWith(t, {
    "etc/weir.yaml": `policies: ../policies
adapters:
  path: { adapter: ./adapters/billing.mjs, key: 1 }
  package: { adapter: "@acme/weir-geo" }
  common: { adapter: old-style }
`,
    "etc/adapters/billing.mjs": adapterModule("billing"),
    "etc/node_modules/@acme/weir-geo/package.json": `{ "name": "@acme/weir-geo", "type": "module", "exports": { ".": { "import": "./lib/main.js" } } }`,
    "etc/node_modules/@acme/weir-geo/lib/main.js": adapterModule("geo"),
    "etc/node_modules/old-style/package.json": `{ "name": "old-style", "type": "module", "main": "index.js" }`,
    "etc/node_modules/old-style/index.js": adapterModule("old"),
    "policies/a.yaml": "policy: a\ncheck: [{ name: x, ask: path, with: { value: request.path } }]\n",
  });
  const loaded = await load(cwd, { config: "etc/weir.yaml" });
  t.deepEqual(problemsOf(loaded), []);
  if (!("snapshot" in loaded)) return;
  const { adapters: entries } = loaded.snapshot;
  t.deepEqual(
    ["path", "package", "common"].map((name) => entries.get(name)?.adapter.name),
    ["billing", "geo", "old"],
  );
  t.deepEqual(entries.get("path")?.config, { key: 1, seen: true });
});

test("a module that is no adapter says what it lacks", async (t) => {
  const cases: Readonly<Record<string, readonly [module: string, flaw: string]>> = {
    "none.mjs": ["export const a = 1;", "it has no default export"],
    "text.mjs": ['export default "x";', "its default export is no object"],
    "name.mjs": [adapterModule("Bad Name"), "name is not made of lower case letters, digits and dashes"],
    "provides.mjs": [adapterModule("x", ", provides: []"), "provides is no list of capabilities"],
    "strange.mjs": [
      adapterModule("x", ', provides: ["fly"]'),
      'provides names "fly", known are check, quota, holds, attributes, metrics, logs, spans, journal, table',
    ],
    "config.mjs": [adapterModule("x", ", config: {}"), "config is no Standard Schema"],
    "create.mjs": [adapterModule("x", ", create: 1"), "create is no function"],
    "input.mjs": [adapterModule("x", ", input: 1"), "input is no object"],
    "type.mjs": [
      adapterModule("x", ', input: { "user?": "strnig" }'),
      'its input "user?" has the type "strnig", which is none; known are string, int64, double, bool, timestamp, duration, ip, bytes, string_map, any',
    ],
  };
  const entries = Object.keys(cases).map((file, i) => `  a${i}: { adapter: ./${file} }\n`);
  const cwd = await folderWith(t, {
    ...Object.fromEntries(Object.entries(cases).map(([file, [text]]) => [file, text])),
    "throws.mjs": 'throw new Error("boom");',
    "config-throws.mjs": adapterModule("x", ', config: { "~standard": { validate() { throw new Error("bang"); } } }'),
    "weir.yaml": `adapters:\n${entries.join("")}  t: { adapter: ./throws.mjs }\n  u: { adapter: ./config-throws.mjs }\n`,
    "policies/a.yaml": policy("a"),
  });
  t.deepEqual(problemsOf(await load(cwd)), [
    ...Object.entries(cases).map(
      ([file, [, flaw]], i) =>
        `weir.yaml:${i + 2}:18 WEIR_ADAPTER_LOAD "./${file}" does not export an adapter: ${flaw}`,
    ),
    'weir.yaml:11:17 WEIR_ADAPTER_LOAD the module "./throws.mjs" could not be imported: boom',
    "weir.yaml:12:3 WEIR_ADAPTER_CONFIG the adapter's check of its configuration failed: bang",
  ]);
});

test("a module that cannot be imported says where, and what may be meant", async (t) => {
  const cases: readonly (readonly [specifier: string, hint: RegExp])[] = [
    ["./throws.mjs", /^at \.\/throws\.mjs:2$/],
    ["./inner.mjs", /^at \.\/lib\/inner\.mjs:1$/],
    ["./syntax.mjs", /^node \/.*\/syntax\.mjs shows where$/],
    ["./named.mjs", /^at \.\/named\.mjs:1$/],
    ["./needs.mjs", /^\.\/lib\/needs\.mjs finds packages in a folder node_modules .*: npm install not-there there$/],
    ["./billing", /^did you mean \.\/billing\.js\?$/],
    ["./lib", /^did you mean \.\/lib\/index\.js\?$/],
    ["billing.js", /^did you mean \.\/billing\.js\?$/],
    ["billing", /^did you mean \.\/billing\.js\?$/],
    ["lisst", /^did you mean "list"\?$/],
    ["nowhere", /^built in are /],
  ];
  const cwd = await folderWith(t, {
    "throws.mjs": '\nthrow new Error("boom");',
    "inner.mjs": 'import "./lib/inner.mjs";',
    "lib/inner.mjs": 'throw new Error("inside");',
    "lib/needs.mjs": 'import "not-there";',
    "lib/index.js": "",
    "syntax.mjs": "export default {",
    "named.mjs": 'import { nothing } from "./lib/index.js";',
    "needs.mjs": 'import "./lib/needs.mjs";',
    "billing.js": "",
    "weir.yaml": `adapters:\n${cases.map(([specifier], i) => `  a${i}: { adapter: ${specifier} }\n`).join("")}`,
    "policies/a.yaml": policy("a"),
  });
  const loaded = await load(cwd);
  t.true("problems" in loaded);
  if (!("problems" in loaded)) return;
  t.is(loaded.problems.length, cases.length);
  for (const [i, [, hint]] of cases.entries()) t.regex(loaded.problems[i]!.hint ?? "", hint);
});

test("a file that is replaced by a rename is read anew", async (t) => {
  const cwd = await folderWith(t, { "policies/a.yaml": policy("a"), "new.yaml": policy("b") });
  const before = await load(cwd);
  await rename(join(cwd, "new.yaml"), join(cwd, "policies/a.yaml"));
  const after = await load(cwd);
  t.deepEqual(
    [before, after].map((loaded) => "snapshot" in loaded && loaded.snapshot.policies[0]?.name),
    ["a", "b"],
  );
});

test("an adapter whose import or whose check of its configuration never ends is a problem, not a wait without end", async (t) => {
  const never = new Promise<never>(() => undefined);
  const endless = {
    name: "endless",
    provides: ["check"],
    config: { "~standard": { version: 1, vendor: "test", validate: () => never } },
    create: () => ({}),
  };
  const cwd = await folderWith(t, {
    "weir.yaml": "adapters:\n  a: { adapter: ./never.js }\n  b: { adapter: ./endless.js }\n",
    "policies/a.yaml": policy("a"),
  });
  const importAdapter: LoadOptions["importAdapter"] = async (specifier) =>
    specifier === "./never.js" ? never : { exports: { default: endless }, version: "" };
  const timers: LoadOptions["timers"] = {
    after(_ms, job) {
      const soon = setImmediate(job);
      return () => clearImmediate(soon);
    },
  };
  t.deepEqual(problemsOf(await load(cwd, { importAdapter, timers })), [
    'weir.yaml:2:17 WEIR_ADAPTER_LOAD the module "./never.js" could not be imported: it did not end within 30 s',
    "weir.yaml:3:3 WEIR_ADAPTER_CONFIG the adapter's check of its configuration failed: it did not end within 30 s",
  ]);
});

test("files that adapters read are checked where they are, and left to their instances by a reload", async (t) => {
  const cwd = await folderWith(t, {
    "conf/weir.yaml":
      "adapters:\n  plans: { adapter: table, file: plans.txt }\n  away: { adapter: table, file: away.txt }\n",
    "conf/plans.txt": "acme: 1000/s 2000\nglobex: 0/s\n",
    "conf/policies/a.yaml":
      "policy: a\ncheck:\n  - { name: x, limit: 5/s, by: source.ip, table: plans }\n  - { name: y, limit: 5/s, by: source.ip, table: away }\n",
  });
  const options = { config: "conf/weir.yaml", adapters: builtinAdapters };
  const loaded = await load(cwd, options);
  const [wrong, away, ...others] = problemsOf(loaded);
  t.is(wrong, "conf/plans.txt:2:9 WEIR_ADAPTER_FILE a limit allows at least 1 unit; this one allows 0");
  t.regex(away!, /^conf\/weir\.yaml:3:33 WEIR_ADAPTER_CONFIG the table could not be read: ENOENT/);
  t.deepEqual(others, []);
  t.true("problems" in loaded && loaded.problems[0]!.text === "globex: 0/s" && loaded.problems[0]!.length === 3);
  t.false("problems" in (await load(cwd, { ...options, namedFiles: "leave" })));
});

test("what is wrong with an adapter's configuration is said in the words of other mistakes", async (t) => {
  const lines = [
    ["otlp: {}", '3 the adapter "otlp" needs the key "endpoint": a text'],
    ["memory: { maxKeys: -5 }", "22 expected a number above 0, got -5"],
    ["log: { compression: zip }", '23 expected one of gzip, none, got "zip"'],
    ["log: { maxFiles: many }", "20 expected a number, got a text"],
    ["otlp: { endpoint: 'http://x', resource: [a] }", "43 expected a map, got a list"],
    ["otlp: { endpoint: 'http://x', timeout: 5 }", "42 expected a duration of 1ms to 1m, got 5"],
    ["nats: { servers: [] }", "20 expected a list that is not empty, got an empty list"],
    ["nats: { servers: 5 }", "20 expected a text or a list, got a number"],
    // Nobody sees a password for want of quotes.
    ["redis: { url: 'redis://h', password: 123456 }", "40 expected a text, or { file: PATH }"],
  ] as const;
  for (const [entry, expected] of lines) {
    const cwd = await folderWith(t, { "weir.yaml": `adapters:\n  ${entry}\n`, "policies/a.yaml": policy("a") });
    const [first] = problemsOf(await load(cwd, { adapters: builtinAdapters }));
    t.is(first, `weir.yaml:2:${expected.replace(" ", " WEIR_ADAPTER_CONFIG ")}`, entry);
  }
});
