import { execFile } from "node:child_process";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { parse } from "yaml";
import { mainFile, projectRoot, writeFolder } from "./hub.ts";
import { peers } from "./peers.ts";
import { notRun } from "./programs.ts";

const run = promisify(execFile);

interface Compose {
  readonly services: Readonly<Record<string, { readonly command?: readonly string[] }>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

/** What docker-compose.yml puts into the hub's container under /etc/weir. */
async function containerFolder(compose: Compose): Promise<string> {
  const folder = await writeFolder({
    "weir.yaml": compose.configs["weir"]!.content,
    "policies/shop.yaml": compose.configs["policies"]!.content,
  });
  await cp(join(projectRoot, "policies/bookinfo"), join(folder, "policies/bookinfo"), { recursive: true });
  await cp(join(projectRoot, "policies/lists"), join(folder, "lists"), { recursive: true });
  return folder;
}

const composeOf = async (): Promise<Compose> =>
  parse(await readFile(join(projectRoot, "docker-compose.yml"), "utf8")) as Compose;

test("the hub of docker-compose.yml has policies and adapters that fit", async (t) => {
  const folder = await containerFolder(await composeOf());
  const { stdout } = await run(process.execPath, [mainFile, "validate", "--config", join(folder, "weir.yaml")]);
  t.regex(stdout, /are fine/);
});

test("the Envoy of docker-compose.yml is given a configuration that Envoy takes", async (t) => {
  const compose = await composeOf();
  const folder = await containerFolder(compose);
  const [command] = compose.services["envoy-config"]!.command!;
  const words = command!
    .replace(/^weir /, "")
    .replace(/ > \/shared\/envoy\.yaml$/, "")
    .replaceAll("/etc/weir", folder)
    .split(/\s+/);
  const { stdout } = await run(process.execPath, [mainFile, ...words]);
  t.deepEqual((parse(stdout) as { static_resources: { listeners: unknown[] } }).static_resources.listeners.length, 1);
  const envoy = await peers.olderEnvoy();
  if ("gap" in envoy) return notRun(t, envoy);
  const shown = await writeFolder({ "envoy.yaml": stdout });
  const validated = await run(envoy.path, ["--mode", "validate", "-c", join(shown, "envoy.yaml")]);
  t.regex(validated.stdout, /OK/);
});
