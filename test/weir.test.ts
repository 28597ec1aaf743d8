import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { builtinAdapters, createWeir, type WeirOptions } from "weir";
import { defineAdapter, type Adapter } from "weir/sdk";
import { ownPart } from "../src/policy/index.ts";
import { fakeHost } from "weir/sdk/testing";
import { z } from "zod";

/** An adapter of the program that embeds the hub: it needs no file and no package. */
const greeting = defineAdapter({
  name: "greeting",
  provides: ["check"],
  config: z.strictObject({ word: z.string(), password: z.string().optional() }),
  create: ({ word }) => ({ check: () => ({ allow: false, code: "failed_precondition", message: word }) }),
});

async function folderOf(t: ExecutionContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-embedded-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "policies"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

function optionsIn(cwd: string): WeirOptions {
  const any = "127.0.0.1:0";
  return {
    cwd,
    adapters: new Map<string, Adapter>([...builtinAdapters, [greeting.name, greeting]]),
    listen: { grpc: any, http: any, admin: any },
    log: fakeHost().log,
  };
}

const policy = "policy: p\ncheck:\n  - { name: hello, ask: greeting }\n";

test("a program embeds the hub, with an adapter of its own", async (t) => {
  const cwd = await folderOf(t, { "weir.yaml": "adapters: { greeting: { word: hello } }", "policies/p.yaml": policy });
  const started = await createWeir(optionsIn(cwd));
  if ("problems" in started) return t.fail(JSON.stringify(started.problems));
  const { weir } = started;
  t.teardown(() => weir.close());
  t.regex(weir.version, /^\d+\.\d+\.\d+/);
  const answer = await fetch(`http://${weir.listening.http}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"attributes": {}}',
  });
  t.like(await answer.json(), { allowed: false, code: "failed_precondition", message: "hello", rules: ["p/hello"] });
  t.true(await weir.close());
});

test("mistakes in files come back as values, and nothing listens", async (t) => {
  const cwd = await folderOf(t, { "weir.yaml": "adapters: { greeting: { wrod: hello } }", "policies/p.yaml": policy });
  const started = await createWeir(optionsIn(cwd));
  t.true("problems" in started);
  if ("problems" in started) t.true(started.problems.some(({ file, line }) => file === "weir.yaml" && line === 1));
});

test("a reload that would leave no policy is refused, unless weir.yaml allows it", async (t) => {
  const config = "adapters: { greeting: { word: hello } }\n";
  const cwd = await folderOf(t, { "weir.yaml": config, "policies/p.yaml": policy });
  const started = await createWeir(optionsIn(cwd));
  if ("problems" in started) return t.fail(JSON.stringify(started.problems));
  const { weir } = started;
  t.teardown(() => weir.close());
  const { version } = weir.snapshot;
  await writeFile(join(cwd, "policies/p.yaml"), "# nothing any more\n");
  const refused = await weir.reload("the file was emptied");
  t.deepEqual(
    refused.map(({ code, severity }) => [code, severity]),
    [["WEIR_RELOAD_EMPTY", "error"]],
  );
  await rm(join(cwd, "policies/p.yaml"));
  t.is((await weir.reload("the file is gone"))[0]?.code, "WEIR_RELOAD_EMPTY");
  t.is(weir.snapshot.version, version);
  const status = await (await fetch(`http://${weir.listening.admin}/status`)).text();
  t.true(status.includes("the folder has no policies any more: every request would pass"), status);
  await writeFile(join(cwd, "weir.yaml"), `${config}allowEmpty: true\n`);
  t.deepEqual(await weir.reload("it is meant"), []);
  t.deepEqual(ownPart(weir.snapshot).policies, []);
});

test("a refused reload is shown to operators without the lines of weir.yaml, which may hold passwords", async (t) => {
  const config = "adapters: { greeting: { word: hello, password: hunter2 } }";
  const cwd = await folderOf(t, { "weir.yaml": config, "policies/p.yaml": policy });
  const started = await createWeir(optionsIn(cwd));
  if ("problems" in started) return t.fail(JSON.stringify(started.problems));
  const { weir } = started;
  t.teardown(() => weir.close());
  await writeFile(join(cwd, "weir.yaml"), config.replace("word: hello", "word: 5"));
  await writeFile(join(cwd, "policies/p.yaml"), policy.replace("ask:", "aks:"));
  t.is((await weir.reload("the test")).length, 2);
  const shown = await (await fetch(`http://${weir.listening.admin}/status`)).text();
  t.false(shown.includes("hunter2"));
  t.true(shown.includes("weir.yaml:1:31: error[WEIR_ADAPTER_CONFIG]"), shown);
  t.true(shown.includes("3 |   - { name: hello, aks: greeting }"), "the lines of policies are shown");
});
