import { Option, type Command } from "commander";
import { builtinAdapters } from "../../adapters/index.ts";
import { formatProblem, loadPolicies } from "../policy/index.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import { WeirError } from "../util/weir-error.ts";
import { readsOfPolicies } from "./envoy/reads.ts";
import { serviceOf } from "./envoy/service.ts";
import type { Endpoint } from "./envoy/settings.ts";
import type { Io } from "./io.ts";
import { carriedHeaders } from "./nginx/carried-headers.ts";
import { nginxText, remark } from "./nginx/directive.ts";
import { pieces, type Fragment } from "./nginx/fragments.ts";
import type { NginxSettings } from "./nginx/settings.ts";
import {
  collect,
  fromSameMachine,
  givenAttributes,
  hubTls,
  needs,
  pair,
  readEndpoint,
  readTimeout,
  type HubTlsOptions,
} from "./proxy-options.ts";

interface NginxOptions extends HubTlsOptions {
  readonly config?: string;
  readonly policies?: string;
  readonly fragment: Fragment;
  readonly hub?: Endpoint;
  readonly failOpen?: boolean;
  readonly timeout: number;
  readonly service?: string;
  readonly attribute?: readonly string[];
  readonly clientCertificates?: boolean;
  readonly listen: Endpoint;
  readonly listenCert?: string;
  readonly listenKey?: string;
  readonly listenCa?: string;
  readonly upstream: Endpoint;
  readonly folder?: string;
}

/** nginx says nothing of the destination by itself. */
const nginxItself = { name: "nginx", tells: [] };

export function addNginxCommand(program: Command, io: Io): void {
  program
    .command("nginx")
    .description("Print a configuration for nginx that asks the hub, fitted to the policies.")
    .option("-c, --config <file>", "weir.yaml (default: ./weir.yaml, else the one in the folder of --policies, if any)")
    .option("-p, --policies <folder>", "folder of policy files (default: what weir.yaml says, else ./policies)")
    .addOption(
      new Option("--fragment <what>", "what to print (see below)").choices(Object.keys(pieces)).default("server"),
    )
    .optionsGroup("The hub:")
    .option("--hub <host:port>", "its HTTP listener (default: what weir.yaml says, else 127.0.0.1:9092)", readEndpoint)
    .addOption(new Option("--fail-open", "let requests pass while the hub cannot be asked").conflicts("failClosed"))
    .option("--fail-closed", "refuse them with 503: the default")
    .option("--timeout <duration>", "how long to wait for its answer", readTimeout, 200)
    .option("--tls-ca <file>", "speak TLS to it, and take certificates of this authority")
    .option("--tls-cert <file>", "certificate to show it")
    .option("--tls-key <file>", "key of that certificate")
    .option("--tls-name <name>", "name in its certificate (default: the host of --hub)")
    .optionsGroup("What the policies need to know:")
    .option("--service <name[.namespace]>", "the service behind nginx (default: the one that the policies name)")
    .option("--attribute <name=value>", "one more attribute that nginx vouches for; may be given again", collect)
    .option("--client-certificates", "tell who callers are by certificates that nginx verified (ssl_verify_client)")
    .optionsGroup("A whole configuration:")
    .option("--listen <host:port>", "where callers connect", readEndpoint, { host: "127.0.0.1", port: 8080 })
    .option("--listen-cert <file>", "serve TLS there, with this certificate")
    .option("--listen-key <file>", "key of that certificate")
    .option("--listen-ca <file>", "callers must show a certificate of this authority")
    .option("--upstream <host:port>", "the service", readEndpoint, { host: "127.0.0.1", port: 8000 })
    .option("--folder <path>", "where nginx keeps its pid and temporary files (default: where it was built to)")
    .addHelpText(
      "after",
      `
What can be printed:
${Object.entries(pieces)
  .map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`)
  .join("\n")}

nginx must have its module auth_request (nginx -V names it), and its address must be in doors.authz.trusted of weir.yaml
where it does not run beside the hub. Files are named as nginx sees them. What the policies read and nginx cannot tell or
carry is said on standard error.

Example, with the policies of this project:
  $ weir nginx --config policies/weir.yaml --service ratings.bookinfo --upstream 127.0.0.1:9080 > nginx.conf
  $ nginx -c $PWD/nginx.conf
  and, for a server that is there already:
  $ weir nginx --config policies/weir.yaml --service ratings.bookinfo --fragment location`,
    )
    .action(async (options: NginxOptions, command: Command) => {
      try {
        await nginx(options, io);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        command.error(`error: ${error.message}`, { exitCode: 1, code: error.code });
      }
    });
}

async function nginx(options: NginxOptions, io: Io): Promise<void> {
  const { config, policies, fragment } = options;
  const loaded = await loadPolicies({ config, policies, cwd: io.cwd, adapters: builtinAdapters });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n\n`);
    io.exitCode = 1;
    return;
  }
  const { snapshot } = loaded;
  const given = givenAttributes(options.attribute, snapshot.vocabulary);
  const service = serviceOf(options.service, given, snapshot, readsOfPolicies(snapshot), nginxItself);
  const settings = settingsOf(options, snapshot, service.attributes);
  const warnings = [...service.warnings, ...settings.headers.warnings];
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  const { what, make } = pieces[fragment];
  const heading = [
    `Printed by weir nginx for the policies ${snapshot.version}: ${what}.`,
    "Print it again when rules change other headers than before.",
    ...warnings.map((warning) => `Warning: ${warning}.`),
  ];
  io.out(nginxText([remark(heading.join("\n")), ...make(settings)]));
}

function settingsOf(options: NginxOptions, snapshot: Snapshot, attributes: ReadonlyMap<string, string>): NginxSettings {
  const { timeout, listen, listenCa, upstream, folder } = options;
  const hub = options.hub ?? fromSameMachine(snapshot.settings.listen.http.address);
  const tls = hubTls(options, hub);
  const listenTls = pair("--listen-cert", options.listenCert, "--listen-key", options.listenKey);
  if (listenCa !== undefined && listenTls === undefined) throw needs("--listen-ca", "--listen-cert");
  return {
    hub,
    ...(tls !== undefined && { tls }),
    failure: options.failOpen === true ? "open" : "closed",
    timeoutMs: timeout,
    attributes,
    headers: carriedHeaders(snapshot),
    clientCertificates: options.clientCertificates === true || listenCa !== undefined,
    listen,
    ...(listenTls && { listenTls: { ...listenTls, ...(listenCa !== undefined && { ca: listenCa }) } }),
    upstream,
    ...(folder !== undefined && { folder }),
  };
}
