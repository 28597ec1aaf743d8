import { InvalidArgumentError } from "commander";
import { Duration } from "../attributes/duration.ts";
import { parseValue } from "../attributes/text.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import { nearest } from "../util/nearest.ts";
import { WeirError } from "../util/weir-error.ts";
import type { Endpoint, HubTls } from "./envoy/settings.ts";
import { readAddress } from "./hub-address.ts";

/** Options of TLS to the hub, as the command line has them. */
export interface HubTlsOptions {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string;
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
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Reads an option that is `HOST:PORT`. */
export function readEndpoint(text: string): Endpoint {
  return endpointOf(readAddress(text));
}

/** An address as its parts. */
export function endpointOf(address: string): Endpoint {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(at + 1)) };
}

/** Reads `--timeout`, in milliseconds. */
export function readTimeout(text: string): number {
  const ms = Duration.parse(text)?.ms;
  if (ms === undefined || ms < 1 || ms > 60_000) throw new InvalidArgumentError("expected 1ms to 60s, such as 200ms");
  return ms;
}

/** Where the listener of that `weir.yaml` is reached from its own machine. */
export function fromSameMachine(address: string): Endpoint {
  const { host, port } = endpointOf(address);
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

/** TLS to the hub, where it was asked for. Throws WEIR_USAGE. */
export function hubTls({ tlsCa, tlsCert, tlsKey, tlsName }: HubTlsOptions, hub: Endpoint): HubTls | undefined {
  const own = pair("--tls-cert", tlsCert, "--tls-key", tlsKey);
  if (tlsCa === undefined) {
    if (own !== undefined || tlsName !== undefined)
      throw needs(own === undefined ? "--tls-name" : "--tls-cert", "--tls-ca");
    return undefined;
  }
  return { ca: tlsCa, ...own, name: tlsName ?? hub.host };
}

/** A certificate and its key, which need each other. Throws WEIR_USAGE. */
export function pair(
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

export function needs(option: string, other: string): WeirError {
  return new WeirError("WEIR_USAGE", `${option} needs ${other}`);
}
