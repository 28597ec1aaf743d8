import { InvalidArgumentError, Option, type Command } from "commander";
import { Duration } from "../../attributes/duration.ts";
import { parseValue } from "../../attributes/text.ts";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import type { ListenerSettings } from "../../listen/settings.ts";
import { nearest } from "../../util/nearest.ts";
import { WeirError } from "../../util/weir-error.ts";
import { endpointOf, readAddress, type Endpoint } from "../hub-address.ts";
import type { PolicyOptions } from "../policy-options.ts";
import type { HubTls, ListenTls, ProxySettings } from "./settings.ts";

/** Options of every command that prints the configuration of a proxy. */
export interface ProxyOptions extends PolicyOptions {
  readonly hub?: Endpoint;
  readonly failOpen?: boolean;
  readonly timeout: number;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string;
  readonly service?: string;
  readonly attribute?: readonly string[];
  readonly listen: Endpoint;
  readonly listenCert?: string;
  readonly listenKey?: string;
  readonly listenCa?: string;
  readonly upstream: Endpoint;
}

/** Adds the options that say how a proxy reaches the hub: which of its listeners, and which names TLS takes. */
export function addHubGroup(
  command: Command,
  hub: { readonly listener: string; readonly address: string; readonly names: string },
): Command {
  return command
    .optionsGroup("The hub:")
    .option(
      "--hub <host:port>",
      `its ${hub.listener} listener (default: what weir.yaml says, else ${hub.address})`,
      readEndpoint,
    )
    .addOption(new Option("--fail-open", "let requests pass while the hub cannot be asked").conflicts("failClosed"))
    .option("--fail-closed", "refuse them with 503: the default")
    .addOption(
      new Option("--timeout <duration>", "how long to wait for its answer")
        .argParser(durationOption("1ms", "60s", "200ms"))
        .default(200, "200ms"),
    )
    .option("--tls-ca <file>", "speak TLS to it, and take certificates of this authority")
    .option("--tls-cert <file>", "certificate to show it")
    .option("--tls-key <file>", "key of that certificate")
    .option("--tls-name <name>", `name in its certificate${hub.names} (default: the host of --hub)`);
}

/** Adds the options that name the service behind a proxy. */
export function addServiceGroup(command: Command, proxy: string): Command {
  return command
    .optionsGroup("What the policies need to know:")
    .option(
      "--service <name[.namespace]>",
      `the service behind ${proxy} (default: the one that the policies name)`,
      readService,
    )
    .option("--attribute <name=value>", `one more attribute that ${proxy} vouches for; may be given again`, collect);
}

/** Adds the options of a configuration that stands alone: where callers connect, and what they come to. */
export function addListenGroup(command: Command, port: number): Command {
  return command
    .optionsGroup("A whole configuration:")
    .addOption(endpointOption("--listen <host:port>", "where callers connect", `127.0.0.1:${port}`))
    .option("--listen-cert <file>", "serve TLS there, with this certificate")
    .option("--listen-key <file>", "key of that certificate")
    .option("--listen-ca <file>", "callers must show a certificate of this authority")
    .addOption(endpointOption("--upstream <host:port>", "the service", "127.0.0.1:8000"));
}

/** What the options of all proxies come to. `address` is that of the hub's listener. Throws WEIR_USAGE. */
export function proxySettings(
  options: ProxyOptions,
  address: string,
  attributes: ReadonlyMap<string, string>,
): ProxySettings {
  const { failOpen, timeout, listen, upstream } = options;
  const hub = options.hub ?? fromSameMachine(address);
  const tls = hubTls(options, hub);
  const listenTls = listenTlsOf(options);
  return {
    hub,
    ...(tls !== undefined && { tls }),
    failure: failOpen === true ? "open" : "closed",
    timeoutMs: timeout,
    attributes,
    listen,
    ...(listenTls !== undefined && { listenTls }),
    upstream,
  };
}

/** What to say when the hub that `weir.yaml` describes serves TLS, and the proxy would not speak it or be let in. */
export function tlsWarnings(options: ProxyOptions, { tls }: ListenerSettings, proxy: string): readonly string[] {
  if (tls === undefined || options.hub !== undefined) return [];
  if (options.tlsCa === undefined) return [`the hub serves TLS, and ${proxy} would not speak it: give --tls-ca`];
  return tls.clientAuth === "required" && options.tlsCert === undefined
    ? [`the hub asks for certificates, and ${proxy} would show none: give --tls-cert and --tls-key`]
    : [];
}

/** Reads `--attribute NAME=VALUE`. Throws WEIR_USAGE. */
export function givenAttributes(texts: readonly string[] = [], vocabulary: Vocabulary): Map<string, string> {
  const given = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const [name, value] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
    if (name === "") throw new WeirError("WEIR_USAGE", `expected name=value, found ${JSON.stringify(text)}`);
    const known = vocabulary.get(name);
    if (known === undefined) {
      const near = nearest(name, vocabulary.keys());
      const hint = near === undefined ? "" : `; did you mean "${near}"?`;
      throw new WeirError("WEIR_USAGE", `expected an attribute, found "${name}"${hint}`);
    }
    if (parseValue(known.type, value) === undefined)
      throw new WeirError("WEIR_USAGE", `expected a value of type ${known.type} for ${name}, found "${value}"`);
    given.set(name, value);
  }
  return given;
}

/** Gathers an option that may be given again. */
function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Reads an option that is `HOST:PORT`. */
export function readEndpoint(text: string): Endpoint {
  return endpointOf(readAddress(text));
}

/** An option that is `HOST:PORT`, whose default the help shows as it is written. */
export function endpointOption(flags: string, description: string, otherwise: string): Option {
  return new Option(flags, description).argParser(readEndpoint).default(endpointOf(otherwise), otherwise);
}

/** Reads `--service`: `NAME`, `NAME.NAMESPACE`, or the whole name of a Kubernetes service. */
function readService(text: string): string {
  if (/^[\w-]+(\.[\w-]+)*$/.test(text)) return text;
  throw new InvalidArgumentError("expected NAME or NAME.NAMESPACE, such as ratings.bookinfo");
}

/** Reads an option that is a duration within bounds, in milliseconds. `such`: an example, as it is written. */
export function durationOption(min: string, max: string, such: string): (text: string) => number {
  const [minMs, maxMs] = [min, max].map((each) => Duration.parse(each)!.ms) as [number, number];
  return (text) => {
    const ms = Duration.parse(text)?.ms;
    if (ms === undefined || ms < minMs || ms > maxMs)
      throw new InvalidArgumentError(`expected ${min} to ${max}, such as ${such}`);
    return ms;
  };
}

/** Where the listener of that `weir.yaml` is reached from its own machine. */
function fromSameMachine(address: string): Endpoint {
  const { host, port } = endpointOf(address);
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

/** TLS to the hub, where it was asked for. Throws WEIR_USAGE. */
function hubTls({ tlsCa, tlsCert, tlsKey, tlsName }: ProxyOptions, hub: Endpoint): HubTls | undefined {
  const own = pair("--tls-cert", tlsCert, "--tls-key", tlsKey);
  if (tlsCa === undefined) {
    if (own !== undefined || tlsName !== undefined)
      throw needs(own === undefined ? "--tls-name" : "--tls-cert", "--tls-ca");
    return undefined;
  }
  return { ca: tlsCa, ...own, name: tlsName ?? hub.host };
}

/** TLS where callers connect, where it was asked for. Throws WEIR_USAGE. */
function listenTlsOf({ listenCert, listenKey, listenCa }: ProxyOptions): ListenTls | undefined {
  const own = pair("--listen-cert", listenCert, "--listen-key", listenKey);
  if (own === undefined && listenCa !== undefined) throw needs("--listen-ca", "--listen-cert");
  return own && { ...own, ...(listenCa !== undefined && { ca: listenCa }) };
}

/** A certificate and its key, which need each other. Throws WEIR_USAGE. */
function pair(
  certOption: string,
  cert: string | undefined,
  keyOption: string,
  key: string | undefined,
): { cert: string; key: string } | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert !== undefined) throw needs(certOption, keyOption);
  if (key !== undefined) throw needs(keyOption, certOption);
  return undefined;
}

function needs(option: string, other: string): WeirError {
  return new WeirError("WEIR_USAGE", `${option} needs ${other}`);
}
