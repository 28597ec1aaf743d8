import { InvalidArgumentError, Option, type Command } from "commander";
import type { Snapshot } from "../policy/snapshot.ts";
import { plain, yamlText } from "./envoy/commented.ts";
import { descriptorFor } from "./envoy/descriptor.ts";
import { pieces, type Fragment } from "./envoy/fragments.ts";
import { quotaWarnings } from "./envoy/rate-limit-quota.ts";
import type { DescriptorSource, EnvoySettings } from "./envoy/settings.ts";
import type { Endpoint } from "./hub-address.ts";
import type { Io } from "./io.ts";
import { addPolicyOptions } from "./policy-options.ts";
import {
  addHubGroup,
  addListenGroup,
  addServiceGroup,
  givenAttributes,
  durationOption,
  proxySettings,
  endpointOption,
  tlsWarnings,
  type ProxyOptions,
} from "./proxy/options.ts";
import { headingText, printFor, warn } from "./proxy/print.ts";
import { comparedWith, readsOfPolicies } from "./proxy/reads.ts";
import { serviceOf } from "./proxy/service.ts";
import { WeirError } from "../util/weir-error.ts";

interface EnvoyOptions extends ProxyOptions {
  readonly fragment: Fragment;
  readonly json?: boolean;
  readonly domain?: string;
  readonly descriptor?: ReadonlyMap<string, DescriptorSource>;
  readonly quota?: boolean;
  readonly jwtPayload: string;
  readonly ongoing?: number;
  readonly direction: "inbound" | "outbound";
  readonly admin: Endpoint;
  readonly upstreamProtocol: "http1" | "http2" | "same";
  readonly rawPaths?: boolean;
}

/** What Envoy says of the destination by itself, in a check. */
const envoyItself = { name: "Envoy", tells: ["destination.ip", "destination.port", "destination.principal"] };

export function addEnvoyCommand(program: Command, io: Io): void {
  const command = addPolicyOptions(
    program.command("envoy").description("Print a configuration for Envoy that asks the hub, fitted to the policies."),
  )
    .addOption(
      new Option("--fragment <what>", "what to print (see below)").choices(Object.keys(pieces)).default("bootstrap"),
    )
    .option("--json", "print JSON, without comments");
  addHubGroup(command, { listener: "gRPC", address: "127.0.0.1:9091", names: ": DNS, address or SPIFFE id" });
  addServiceGroup(command, "Envoy")
    .option("--domain <name>", "domain of the rate limit filter (default: the one that the policies name, else weir)")
    .option(
      "--descriptor <key=source>",
      "an entry of its descriptor: key=header:NAME, or key=VALUE; may be given again",
      readDescriptor,
    )
    .option("--quota", "let Envoy keep to its share of the limits `at: ratelimit` rather than ask about each request")
    .option("--jwt-payload <key>", "payload_in_metadata of the jwt_authn filter", readKey, "jwt_payload")
    .option(
      "--ongoing <duration>",
      "tell of requests that last as often as this, for counters with `ongoing`; of TCP connections every 10s unless told",
      durationOption("100ms", "1h", "10s"),
    )
    .addOption(
      new Option("--direction <side>", "whether Envoy stands at the service or at its callers")
        .choices(["inbound", "outbound"])
        .default("inbound"),
    );
  addListenGroup(command, 10000)
    .addOption(
      new Option("--upstream-protocol <protocol>", "what it speaks; same: what the caller speaks")
        .choices(["http1", "http2", "same"])
        .default("http1"),
    )
    .addOption(endpointOption("--admin <host:port>", "Envoy's own admin listener", "127.0.0.1:9901"))
    .option("--raw-paths", "leave paths as callers write them; policies judge request.url_path normalised all the same")
    .addHelpText(
      "after",
      `
What can be printed:
${Object.entries(pieces)
  .map(([name, { what }]) => `  ${name.padEnd(18)} ${what}`)
  .join("\n")}

Files of certificates are named as Envoy sees them. What the policies read and Envoy cannot tell is said on standard
error. docs/doors/envoy.md leads from nothing to a service behind it.

Example, with the policies of this project:
  $ weir envoy --config policies/weir.yaml --service ratings.bookinfo --upstream 127.0.0.1:9080 > envoy.yaml
  $ envoy -c envoy.yaml
  and, for a listener that is there already:
  $ weir envoy --config policies/weir.yaml --service ratings.bookinfo --fragment ext-authz`,
    )
    .action(async (options: EnvoyOptions) =>
      printFor(options, command, io, (snapshot) => printEnvoy(options, snapshot, io)),
    );
}

function printEnvoy(options: EnvoyOptions, snapshot: Snapshot, io: Io): void {
  const reads = readsOfPolicies(snapshot);
  const given = givenAttributes(options.attribute, snapshot.vocabulary);
  const service = serviceOf(options.service, given, snapshot, reads, envoyItself);
  const settings = settingsOf(options, snapshot, service.attributes);
  const descriptor = descriptorFor(reads.limits, settings);
  const { grpc } = snapshot.settings.listen;
  const quota = settings.quota ? quotaWarnings(descriptor, reads) : [];
  const inVain =
    settings.ongoingMs === undefined || reads.ongoing || options.fragment.startsWith("tcp-")
      ? []
      : ["no rule has ongoing: true, so that nothing comes of requests that last before they end"];
  const warnings = [
    ...inVain,
    ...service.warnings,
    ...descriptor.warnings,
    ...quota,
    ...tlsWarnings(options, grpc, "Envoy"),
  ];
  warn(io, warnings);
  const { what, make } = pieces[options.fragment];
  const tree = make({ settings, reads, descriptor });
  if (options.json === true) {
    io.out(`${JSON.stringify(plain(tree), undefined, 2)}\n`);
    return;
  }
  const again = "Print it again when the policies read something new of requests.";
  io.out(yamlText(tree, headingText({ command: "weir envoy", version: snapshot.version, what, again, warnings })));
}

function settingsOf(options: EnvoyOptions, snapshot: Snapshot, attributes: ReadonlyMap<string, string>): EnvoySettings {
  const { jwtPayload, direction, admin, upstreamProtocol } = options;
  if (options.fragment === "envoy-filter" && direction === "outbound") {
    throw new WeirError(
      "WEIR_USAGE",
      "--fragment envoy-filter is for the sidecars of the service: --direction inbound",
    );
  }
  const ongoingMs = options.ongoing ?? (options.fragment === "access-log-options" ? 10_000 : undefined);
  return {
    ...proxySettings(options, snapshot.settings.listen.grpc.address, attributes),
    domain: options.domain ?? comparedWith(snapshot, "ratelimit.domain")[0] ?? "weir",
    descriptor: options.descriptor ?? new Map(),
    quota: options.quota === true || options.fragment === "rate-limit-quota",
    jwtPayload,
    bodyBytes: snapshot.settings.doors.bodyBytes,
    ...(ongoingMs !== undefined && { ongoingMs }),
    direction,
    admin,
    upstreamProtocol,
    rawPaths: options.rawPaths === true,
  };
}

function readKey(text: string): string {
  if (text === "") throw new InvalidArgumentError("expected a key, which Envoy does not let be empty");
  return text;
}

function readDescriptor(
  text: string,
  before: ReadonlyMap<string, DescriptorSource> = new Map(),
): ReadonlyMap<string, DescriptorSource> {
  const m = /^([^=]+)=(header:)?(.+)$/s.exec(text);
  // A name that is none must not become a value, which would be the same for all requests.
  if (m === null || (m[2] !== undefined && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(m[3]!)) || m[3] === "header:")
    throw new InvalidArgumentError("expected key=header:NAME or key=VALUE");
  const source = m[2] === undefined ? { value: m[3]! } : { header: m[3]!.toLowerCase() };
  return new Map([...before, [m[1]!, source]]);
}
