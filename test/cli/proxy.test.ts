import { rm } from "node:fs/promises";
import test, { type ExecutionContext } from "ava";
import { addEnvoyCommand } from "../../src/cli/envoy.ts";
import { addNginxCommand } from "../../src/cli/nginx.ts";
import { maxProblems } from "../../src/policy/problems.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { writeFolder } from "../e2e/hub.ts";
import { runCommand, type Ran } from "./run-command.ts";

/** What the commands that print a proxy's configuration have in common. */
const commands = [
  { proxy: "Envoy", name: "envoy", add: addEnvoyCommand, listener: "grpc" },
  { proxy: "nginx", name: "nginx", add: addNginxCommand, listener: "http" },
] as const;

const policy = "policy: shop\ncheck:\n  - { name: it, deny: permission_denied, when: 'request.path == \"/x\"' }\n";

for (const { proxy, name, add, listener } of commands) {
  const run = async (
    t: ExecutionContext,
    files: Record<string, string>,
    args: readonly string[] = [],
  ): Promise<Ran> => {
    const folder = await writeFolder({ "policies/shop.yaml": policy, ...files });
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    return runCommand(add, [name, ...args], { cwd: folder });
  };

  test(`weir ${name} warns of a hub that serves TLS where ${proxy} would not speak it`, async (t) => {
    const authority = createAuthority();
    const { cert, key } = authority.issue();
    const listen = `{ ${listener}: { address: 127.0.0.1:7000, tls: { cert: hub.crt, key: hub.key } } }`;
    const files = { "weir.yaml": `listen: ${listen}\n`, "hub.crt": cert, "hub.key": key };
    const { out, err, exitCode } = await run(t, files);
    t.is(err, `warning: the hub serves TLS, and ${proxy} would not speak it: give --tls-ca\n`);
    t.regex(out, /^# Warning: the hub serves TLS/m);
    t.is(exitCode, 0);
    for (const args of [
      ["--tls-ca", "ca.crt"],
      ["--hub", "weir.mesh:80"],
    ])
      t.is((await run(t, files, args)).err, "");
    const asks = {
      ...files,
      "ca.crt": authority.cert,
      "weir.yaml": files["weir.yaml"].replace("hub.key", "hub.key, ca: ca.crt"),
    };
    const none = `warning: the hub asks for certificates, and ${proxy} would show none: give --tls-cert and --tls-key\n`;
    t.is((await run(t, asks, ["--tls-ca", "ca.crt"])).err, none);
    t.is((await run(t, asks, ["--tls-ca", "ca.crt", "--tls-cert", "a", "--tls-key", "b"])).err, "");
  });

  test(`weir ${name} says how many mistakes of policies it does not show`, async (t) => {
    const rules = Array.from({ length: maxProblems + 3 }, (_, i) => `  - { name: r${i}, deny: nonsense }\n`);
    const { out, err, exitCode } = await run(t, { "policies/shop.yaml": `policy: shop\ncheck:\n${rules.join("")}` });
    t.is(out, "");
    t.is(err.slice(err.lastIndexOf("...")), "... and 3 more\n");
    t.is(exitCode, 1);
  });

  const wrong: readonly (readonly [args: readonly string[], message: string])[] = [
    [["--tls-cert", "a"], "--tls-cert needs --tls-key"],
    [["--tls-cert", "a", "--tls-key", "b"], "--tls-cert needs --tls-ca"],
    [["--tls-name", "a"], "--tls-name needs --tls-ca"],
    [["--listen-key", "a"], "--listen-key needs --listen-cert"],
    [["--listen-ca", "a"], "--listen-ca needs --listen-cert"],
    [["--attribute", "source.ipp=1.2.3.4"], 'expected an attribute, found "source.ipp"; did you mean "source.ip"?'],
  ];
  for (const [args, message] of wrong) {
    test(`weir ${name} ${args.join(" ")}: ${message}`, async (t) => {
      const { err, exitCode } = await run(t, {}, args);
      t.is(err, `error: ${message}\n`);
      t.is(exitCode, 1);
    });
  }
}
