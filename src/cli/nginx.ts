import { Option, type Command } from "commander";
import type { Snapshot } from "../policy/snapshot.ts";
import type { Io } from "./io.ts";
import { carriedHeaders } from "./nginx/carried-headers.ts";
import { nginxText, remark } from "./nginx/directive.ts";
import { pieces, type Fragment } from "./nginx/fragments.ts";
import type { NginxSettings } from "./nginx/settings.ts";
import { addPolicyOptions } from "./policy-options.ts";
import {
  addHubGroup,
  addListenGroup,
  addServiceGroup,
  givenAttributes,
  proxySettings,
  tlsWarnings,
  type ProxyOptions,
} from "./proxy/options.ts";
import { headingText, printFor, warn } from "./proxy/print.ts";
import { readsOfPolicies } from "./proxy/reads.ts";
import { serviceOf } from "./proxy/service.ts";

interface NginxOptions extends ProxyOptions {
  readonly fragment: Fragment;
  readonly clientCertificates?: boolean;
  readonly folder?: string;
}

/** nginx says nothing of the destination by itself. */
const nginxItself = { name: "nginx", tells: [] };

export function addNginxCommand(program: Command, io: Io): void {
  const command = addPolicyOptions(
    program.command("nginx").description("Print a configuration for nginx that asks the hub, fitted to the policies."),
  ).addOption(
    new Option("--fragment <what>", "what to print (see below)").choices(Object.keys(pieces)).default("server"),
  );
  addHubGroup(command, { listener: "HTTP", address: "127.0.0.1:9092", names: "" });
  addServiceGroup(command, "nginx").option(
    "--client-certificates",
    "tell who callers are by certificates that nginx verified (ssl_verify_client)",
  );
  addListenGroup(command, 8080)
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
    .action(async (options: NginxOptions) =>
      printFor(options, command, io, (snapshot) => printNginx(options, snapshot, io)),
    );
}

function printNginx(options: NginxOptions, snapshot: Snapshot, io: Io): void {
  const given = givenAttributes(options.attribute, snapshot.vocabulary);
  const service = serviceOf(options.service, given, snapshot, readsOfPolicies(snapshot), nginxItself);
  const settings = settingsOf(options, snapshot, service.attributes);
  const { http } = snapshot.settings.listen;
  const warnings = [...service.warnings, ...settings.headers.warnings, ...tlsWarnings(options, http, "nginx")];
  warn(io, warnings);
  const { what, make } = pieces[options.fragment];
  const again = "Print it again when rules change other headers than before.";
  const heading = headingText({ command: "weir nginx", version: snapshot.version, what, again, warnings });
  io.out(nginxText([remark(heading), ...make(settings)]));
}

function settingsOf(options: NginxOptions, snapshot: Snapshot, attributes: ReadonlyMap<string, string>): NginxSettings {
  const { clientCertificates, listenCa, folder } = options;
  return {
    ...proxySettings(options, snapshot.settings.listen.http.address, attributes),
    headers: carriedHeaders(snapshot),
    clientCertificates: clientCertificates === true || listenCa !== undefined,
    ...(folder !== undefined && { folder }),
  };
}
