import type { AttributeUse } from "../../expression/index.ts";
import { said, type Tree } from "./commented.ts";
import { jwtAuthnName } from "./ext-authz.ts";
import { useText, type LimitReads } from "../proxy/reads.ts";
import type { DescriptorSource, EnvoySettings } from "./settings.ts";

/** What one request is described by to the rate limit door. */
export interface Descriptor {
  /** Envoy's rate limit actions: each writes one entry. Empty: no limit is of the domain. */
  readonly actions: readonly Tree[];
  /** What an operator should know, in whole sentences. */
  readonly warnings: readonly string[];
}

/** Attributes that a header of the request holds. */
const headerOf: Readonly<Record<string, string>> = {
  "request.path": ":path",
  "request.method": ":method",
  "request.host": ":authority",
  "request.scheme": ":scheme",
  "request.id": "x-request-id",
  "request.referer": "referer",
  "request.useragent": "user-agent",
  "request.api_key": "x-api-key",
};

/** Attributes that only an expression of Envoy's tells. */
const expressionOf: Readonly<Record<string, string>> = {
  "source.principal": "connection.uri_san_peer_certificate",
  "connection.requested_server_name": "connection.requested_server_name",
  "connection.mtls": "connection.mtls",
};

/** Keys that an action of Envoy's always writes under the same name. */
const fixedActions = ["remote_address", "masked_remote_address", "source_cluster", "destination_cluster"];

/**
 * Derives the descriptor that the limits of the domain need from what they read. It is one for all of them, since a
 * limit is charged by every descriptor that holds what it reads: two of which one holds the other would charge twice.
 * What a request lacks is left out of it, and the limits that need it do not apply.
 */
export function descriptorFor(limits: readonly LimitReads[], settings: EnvoySettings): Descriptor {
  const warnings: string[] = [];
  const actions = new Map<string, Tree>();
  const constants = new Map<string, Set<string>>();
  /** Keys that limits do not only compare with a text, so that their value differs from request to request. */
  const open = new Set<string>();
  const others = new Set<string>();
  for (const { rule, uses, equals } of limits) {
    const domain = equals.get("ratelimit.domain");
    if (domain !== undefined && domain !== settings.domain) {
      others.add(domain);
      continue;
    }
    const needed = uses.filter(({ name }) => name !== "ratelimit.domain");
    if (needed.length === 0)
      actions.set("", said("For limits that read nothing of a request.", genericKey("generic_key", "weir")));
    for (const use of needed) {
      const text = useText(use);
      const constant = equals.get(text);
      const action = actionFor(use, settings);
      if (action !== undefined) actions.set(descriptorKey(use), action);
      else if (use.name === "ratelimit.descriptor" && use.key !== undefined && constant !== undefined)
        constants.set(use.key, (constants.get(use.key) ?? new Set()).add(constant));
      else {
        if (use.name === "ratelimit.descriptor" && use.key !== undefined) open.add(use.key);
        warnings.push(`${rule} reads ${text}, ${advice(use)}`);
      }
    }
  }
  for (const [key, values] of constants) {
    if (open.has(key)) continue;
    if (values.size === 1) {
      const why = `Of every request, since limits ask for it. Where requests differ: --descriptor ${key}=header:NAME.`;
      actions.set(key, said(why, genericKey(key, [...values][0]!)));
    } else {
      warnings.push(
        `limits need ${useText({ name: "ratelimit.descriptor", key })} to be one of ${[...values].join(", ")}: say which with --descriptor ${key}=VALUE, or write it at the routes that differ`,
      );
    }
  }
  for (const domain of others) {
    warnings.push(
      `limits of the domain ${domain} need a filter of their own: weir envoy --domain ${domain} --fragment ratelimit`,
    );
  }
  return { actions: [...actions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, action]) => action), warnings };
}

function descriptorKey({ name, key }: AttributeUse): string {
  if (key === undefined) return name === "request.url_path" ? "request.path" : name;
  return name === "ratelimit.descriptor" ? key : `${name}.${key}`;
}

function actionFor(use: AttributeUse, settings: EnvoySettings): Tree | undefined {
  const { name, key } = use;
  const entry = descriptorKey(use);
  const told = settings.descriptor.get(entry);
  if (told !== undefined) return toldAction(entry, told);
  const vouched = settings.attributes.get(name);
  if (vouched !== undefined && key === undefined) return genericKey(name, vouched);
  if (name === "ratelimit.descriptor") {
    return key !== undefined && fixedActions.includes(key) ? { [key]: {} } : undefined;
  }
  if (name === "source.ip") return said("The caller's address, as source.ip.", { remote_address: {} });
  if (name === "request.headers" && key !== undefined) return headerAction(entry, key);
  const header = headerOf[entry];
  if (header !== undefined) return headerAction(entry, header);
  if (name === "request.query_params" && key !== undefined)
    return { query_parameters: { query_parameter_name: key, descriptor_key: entry, skip_if_absent: true } };
  if (name === "request.auth.claims" && key !== undefined) {
    const path = [{ key: settings.jwtPayload }, { key }];
    return { metadata: { descriptor_key: entry, metadata_key: { key: jwtAuthnName, path }, skip_if_absent: true } };
  }
  const expression = expressionOf[entry];
  return expression === undefined ? undefined : expressionAction(entry, expression);
}

function toldAction(key: string, told: DescriptorSource): Tree {
  return "header" in told ? headerAction(key, told.header) : genericKey(key, told.value);
}

function headerAction(key: string, header: string): Tree {
  return { request_headers: { header_name: header, descriptor_key: key, skip_if_absent: true } };
}

function genericKey(key: string, value: string): Tree {
  return { generic_key: { descriptor_key: key, descriptor_value: value } };
}

function expressionAction(key: string, text: string): Tree {
  return {
    extension: {
      name: "envoy.rate_limit_descriptors.expr",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor",
        descriptor_key: key,
        text,
        skip_if_error: true,
      },
    },
  };
}

function advice(use: AttributeUse): string {
  const { name, key } = use;
  if (key === undefined && (name === "ratelimit.descriptor" || use.name.endsWith("headers")))
    return "as a whole or by a computed key: name the keys with --descriptor KEY=header:NAME";
  if (name.startsWith("destination.")) return "which Envoy does not tell: give it with --service or --attribute";
  const entry = descriptorKey(use);
  return `which no action of Envoy's tells: say where it comes from with --descriptor ${entry}=header:NAME or ${entry}=VALUE`;
}
