import { InvalidArgumentError, Option, type Command } from "commander";
import { builtinAdapters } from "../../adapters/index.ts";
import { formatProblem, loadPolicies } from "../policy/index.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import { WeirError } from "../util/weir-error.ts";
import { plain, yamlText } from "./envoy/commented.ts";
import { descriptorFor } from "./envoy/descriptor.ts";
import { pieces, type Fragment } from "./envoy/fragments.ts";
import { comparedWith, readsOfPolicies } from "./envoy/reads.ts";
import { serviceOf } from "./envoy/service.ts";
import type { DescriptorSource, Endpoint, EnvoySettings } from "./envoy/settings.ts";
import type { Io } from "./io.ts";
import {
  collect,
  fromSameMachine,
  givenAttributes,
  hubTls,
  needs,
  pair,
  readEndpoint,
  readTimeout,
} from "./proxy-options.ts";

interface EnvoyOptions {
  readonly config?: string;
  readonly policies?: string;
  readonly fragment: Fragment;
  readonly json?: boolean;
  readonly hub?: Endpoint;
  readonly failOpen?: boolean;
  readonly timeout: number;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string;
  readonly service?: string;
  readonly attribute?: readonly string[];
  readonly domain?: string;
  readonly descriptor?: ReadonlyMap<string, DescriptorSource>;
  readonly jwtPayload: string;
  readonly direction: "inbound" | "outbound";
  readonly listen: Endpoint;
  readonly listenCert?: string;
  readonly listenKey?: string;
  readonly listenCa?: string;
  readonly admin: Endpoint;
  readonly upstream: Endpoint;
  readonly upstreamProtocol: "http1" | "http2" | "same";
  readonly rawPaths?: boolean;
}

/** What Envoy says of the destination by itself, in a check. */
const envoyItself = { name: "Envoy", tells: ["destination.ip", "destination.port", "destination.principal"] };

export function addEnvoyCommand(program: Command, io: Io): void {
  program
    .command("envoy")
    .description("Print a configuration for Envoy that asks the hub, fitted to the policies.")
    .option("-c, --config <file>", "weir.yaml (default: ./weir.yaml, else the one in the folder of --policies, if any)")
    .option("-p, --policies <folder>", "folder of policy files (default: what weir.yaml says, else ./policies)")
    .addOption(
      new Option("--fragment <what>", "what to print (see below)").choices(Object.keys(pieces)).default("bootstrap"),
    )
    .option("--json", "print JSON, without comments")
    .optionsGroup("The hub:")
    .option("--hub <host:port>", "its gRPC listener (default: what weir.yaml says, else 127.0.0.1:9091)", readEndpoint)
    .addOption(new Option("--fail-open", "let requests pass while the hub cannot be asked").conflicts("failClosed"))
    .option("--fail-closed", "refuse them with 503: the default")
    .option("--timeout <duration>", "how long to wait for its answer", readTimeout, 200)
    .option("--tls-ca <file>", "speak TLS to it, and take certificates of this authority")
    .option("--tls-cert <file>", "certificate to show it")
    .option("--tls-key <file>", "key of that certificate")
    .option("--tls-name <name>", "name in its certificate: DNS, address or SPIFFE id (default: the host of --hub)")
    .optionsGroup("What the policies need to know:")
    .option("--service <name[.namespace]>", "the service behind Envoy (default: the one that the policies name)")
    .option("--attribute <name=value>", "one more attribute that Envoy vouches for; may be given again", collect)
    .option("--domain <name>", "domain of the rate limit filter (default: the one that the policies name, else weir)")
    .option(
      "--descriptor <key=source>",
      "an entry of its descriptor: key=header:NAME, or key=VALUE; may be given again",
      readDescriptor,
    )
    .option("--jwt-payload <key>", "payload_in_metadata of the jwt_authn filter", "jwt_payload")
    .addOption(
      new Option("--direction <side>", "whether Envoy stands at the service or at its callers")
        .choices(["inbound", "outbound"])
        .default("inbound"),
    )
    .optionsGroup("A whole configuration:")
    .option("--listen <host:port>", "where callers connect", readEndpoint, { host: "127.0.0.1", port: 10000 })
    .option("--listen-cert <file>", "serve TLS there, with this certificate")
    .option("--listen-key <file>", "key of that certificate")
    .option("--listen-ca <file>", "callers must show a certificate of this authority")
    .option("--upstream <host:port>", "the service", readEndpoint, { host: "127.0.0.1", port: 8000 })
    .addOption(
      new Option("--upstream-protocol <protocol>", "what it speaks; same: what the caller speaks")
        .choices(["http1", "http2", "same"])
        .default("http1"),
    )
    .option("--admin <host:port>", "Envoy's own admin listener", readEndpoint, { host: "127.0.0.1", port: 9901 })
    .option("--raw-paths", "leave paths as callers write them; policies judge request.url_path normalised all the same")
    .addHelpText(
      "after",
      `
What can be printed:
${Object.entries(pieces)
  .map(([name, { what }]) => `  ${name.padEnd(15)} ${what}`)
  .join("\n")}

Files of certificates are named as Envoy sees them. What the policies read and Envoy cannot tell is said on standard
error. docs/doors/envoy.md leads from nothing to a service behind it.

Example, with the policies of this project:
  $ weir envoy --config policies/weir.yaml --service ratings.bookinfo --upstream 127.0.0.1:9080 > envoy.yaml
  $ envoy -c envoy.yaml
  and, for a listener that is there already:
  $ weir envoy --config policies/weir.yaml --service ratings.bookinfo --fragment ext-authz`,
    )
    .action(async (options: EnvoyOptions, command: Command) => {
      try {
        await envoy(options, io);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        command.error(`error: ${error.message}`, { exitCode: 1, code: error.code });
      }
    });
}

async function envoy(options: EnvoyOptions, io: Io): Promise<void> {
  const { config, policies, fragment, json } = options;
  const loaded = await loadPolicies({ config, policies, cwd: io.cwd, adapters: builtinAdapters });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n\n`);
    io.exitCode = 1;
    return;
  }
  const { snapshot } = loaded;
  const reads = readsOfPolicies(snapshot);
  const service = serviceOf(
    options.service,
    givenAttributes(options.attribute, snapshot.vocabulary),
    snapshot,
    reads,
    envoyItself,
  );
  const settings = settingsOf(options, snapshot, service.attributes);
  const descriptor = descriptorFor(reads.limits, settings);
  const warnings = [...service.warnings, ...descriptor.warnings];
  if (settings.tls === undefined && options.hub === undefined && snapshot.settings.listen.grpc.tls !== undefined)
    warnings.push("the hub serves TLS, and Envoy would not speak it: give --tls-ca");
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  const { what, make } = pieces[fragment];
  const tree = make({ settings, reads, descriptor });
  if (json === true) {
    io.out(`${JSON.stringify(plain(tree), undefined, 2)}\n`);
    return;
  }
  const heading = [
    `Printed by weir envoy for the policies ${snapshot.version}: ${what}.`,
    "Print it again when the policies read something new of requests.",
    ...warnings.map((warning) => `Warning: ${warning}.`),
  ];
  io.out(yamlText(tree, heading.join("\n")));
}

function settingsOf(options: EnvoyOptions, snapshot: Snapshot, attributes: ReadonlyMap<string, string>): EnvoySettings {
  const { timeout, jwtPayload, direction, listen, admin, upstream, upstreamProtocol } = options;
  const hub = options.hub ?? fromSameMachine(snapshot.settings.listen.grpc.address);
  const tls = hubTls(options, hub);
  const listenTls = pair("--listen-cert", options.listenCert, "--listen-key", options.listenKey);
  if (options.listenCa !== undefined && listenTls === undefined) throw needs("--listen-ca", "--listen-cert");
  return {
    hub,
    ...(tls !== undefined && { tls }),
    failure: options.failOpen === true ? "open" : "closed",
    timeoutMs: timeout,
    domain: options.domain ?? comparedWith(snapshot, "ratelimit.domain")[0] ?? "weir",
    attributes,
    descriptor: options.descriptor ?? new Map(),
    jwtPayload,
    bodyBytes: snapshot.settings.doors.bodyBytes,
    direction,
    listen,
    ...(listenTls && { listenTls: { ...listenTls, ...(options.listenCa !== undefined && { ca: options.listenCa }) } }),
    admin,
    upstream,
    upstreamProtocol,
    rawPaths: options.rawPaths === true,
  };
}

function readDescriptor(
  text: string,
  before: ReadonlyMap<string, DescriptorSource> = new Map(),
): ReadonlyMap<string, DescriptorSource> {
  const m = /^([^=]+)=(?:header:([\w-]+)|(.+))$/.exec(text);
  if (m === null) throw new InvalidArgumentError("expected key=header:NAME or key=VALUE");
  const source = m[2] === undefined ? { value: m[3]! } : { header: m[2].toLowerCase() };
  return new Map([...before, [m[1]!, source]]);
}
