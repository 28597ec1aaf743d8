import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { projectRoot, runWeir, startHub, writeFolder } from "./hub.ts";

const readme = readFileSync(join(projectRoot, "README.md"), "utf8");

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))].map((m) => m[1]!);
}

const policy = blocks("yaml").find((text) => text.startsWith("# policies/ratings.yaml"))!;

/** A session in a terminal: what was typed after `$ `, and what came. */
function session(command: RegExp): { args: string[]; output: string } {
  const block = blocks("console").find((text) => command.test(text.split("\n", 1)[0]!))!;
  const [typed, ...output] = block.split("\n");
  return { args: typed!.replace(/^\$ npx weir /, "").split(" "), output: output.join("\n").trim() };
}

/** Ids and versions differ from run to run. */
function masked(text: string): string {
  return text.replace(/\b[0-9a-f]{32}\b/g, "ID").replace(/policies [0-9a-f]{12}\b/g, "policies VERSION");
}

test("the first policy is fine, and means what the text under it says", async (t) => {
  const hub = await startHub({ "policies/ratings.yaml": policy });
  t.teardown(() => hub.dispose());
  const to = ["--address", hub.grpc, "destination.service.name=ratings"];
  t.is((await runWeir(["check", ...to, "source.namespace=reviews"])).code, 0);
  t.is((await runWeir(["check", ...to, "source.namespace=web"])).code, 2);
  t.is((await runWeir(["check", ...to])).code, 2);
});

test("npm start serves the first policy from where the page puts it", async (t) => {
  const config = readFileSync(join(projectRoot, "policies/weir.yaml"), "utf8");
  const folder = await writeFolder({
    "policies/ratings.yaml": policy,
    "policies/weir.yaml": config.replace("lists/blocked-networks.txt", "blocked-networks.txt"),
    "policies/blocked-networks.txt": "192.0.2.0/24\n",
  });
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { stdout } = await runWeir(["validate", "--config", "policies/weir.yaml"], { cwd: folder });
  t.regex(stdout, /^1 policy with 2 rules is fine/);
});

test("the configurations for proxies are printed as the page says", async (t) => {
  const folder = await writeFolder({ "policies/ratings.yaml": policy });
  t.teardown(() => rmSync(folder, { recursive: true }));
  const commands = blocks("sh")
    .flatMap((block) => block.split("\n"))
    .filter((line) => /^npx weir (envoy|nginx) /.test(line));
  t.is(commands.length, 2);
  for (const command of commands) {
    const args = command
      .replace(/^npx weir /, "")
      .replace(/ > .*/, "")
      .split(" ");
    const { code, stdout, stderr } = await runWeir(args, { cwd: folder });
    t.is(code, 0, stderr);
    t.regex(stdout, /127\.0\.0\.1:9080|port_value: 9080/);
  }
});

test("the mistake is shown as the page shows it", async (t) => {
  const folder = await writeFolder({
    "policies/ratings.yaml": policy.replace("source.namespace", "source.namepsace"),
  });
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { args, output } = session(/weir validate/);
  const { code, stderr } = await runWeir(args, { cwd: folder });
  t.is(code, 1);
  t.true(stderr.startsWith(output), stderr);
});

test("the question about the example mesh is answered as the page shows it, also over HTTP", async (t) => {
  const hub = await startHub(
    {},
    { folder: projectRoot, args: ["--config", "policies/weir.yaml", "--policies", "policies/bookinfo"] },
  );
  t.teardown(() => hub.dispose());
  const { args, output } = session(/weir check/);
  const { code, stdout } = await runWeir([...args, "--address", hub.grpc]);
  t.is(code, 2);
  t.is(masked(stdout.trim()), masked(output));

  const curl = blocks("console").find((text) => text.startsWith("$ curl"))!;
  const [, path, body] = /localhost:9092(\S+) .* -d '(.*)'/.exec(curl)!;
  const headers = { "content-type": "application/json" };
  const response = await fetch(`http://${hub.http}${path}`, { method: "POST", headers, body: body! });
  t.like(await response.json(), { allowed: false, rules: ["details-access/only-productpage"] });
});

test("the commands that the page names are those of the program", async (t) => {
  const named = [...readme.matchAll(/`weir serve`, ([^.]*)\.\sEach has/g)].flatMap((m) => [
    ...m[1]!.matchAll(/`(\w+)`/g),
  ]);
  const { stdout } = await runWeir(["--help"]);
  const listed = [...stdout.matchAll(/^ {2}(\w+) .*\[/gm)].map((m) => m[1]!).filter((name) => name !== "help");
  t.deepEqual(["serve", ...named.map((m) => m[1]!)].sort(), listed.filter((name) => name !== "weir").sort());
});
