import { createClient, createStreamClient } from "../../src/client/index.ts";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import type { HeaderValueOption } from "../../src/wire/gen/envoy/config/core/v3/base.ts";
import { httpStatusOf } from "../../src/wire/status.ts";
import type { Attributes, DoorName } from "../cases/doors/same-verdict.ts";
import { connect, post, unary } from "./clients.ts";
import type { Hub } from "./hub.ts";

/** What doors say of a decision. A door that has no way to say something leaves it out. */
export interface Verdict {
  readonly allowed: boolean;
  /** HTTP status of a refusal, 200 of a pass. */
  readonly status: number;
  readonly code?: number;
  readonly message?: string;
  /** The direct response, as `STATUS BODY`. */
  readonly http?: string;
  /** Header operations, sorted. */
  readonly request?: readonly string[];
  readonly response?: readonly string[];
  readonly validForMs?: number;
  readonly validUses?: number;
  readonly referenced?: readonly string[];
}

/** Asks a hub about a request at one door. */
export type Ask = (hub: Hub, attributes: Attributes) => Promise<Verdict>;

const codes: Readonly<Record<string, number>> = {
  ok: 0,
  invalid_argument: 3,
  permission_denied: 7,
  resource_exhausted: 8,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
};

/** The only status that a direct response of the cases has. */
const direct = 418;

const askHttp: Ask = async (hub, attributes) => {
  const { json } = await post(hub, "/v1/check", { attributes });
  const header = ({ op, name, value = "" }: any) => `${op} ${name} ${value}`;
  return {
    allowed: json.allowed,
    status: json.http?.status ?? 200,
    code: codes[json.code]!,
    message: json.message,
    http: json.http?.status === direct ? `${direct} ${json.http.body}` : "",
    request: json.headers.request.map(header).sort(),
    response: json.headers.response.map(header).sort(),
    validForMs: Number.parseFloat(json.valid_for) * 1000,
    validUses: json.valid_uses,
    referenced: [...json.referenced].sort(),
  };
};

const askOver =
  (create: typeof createClient | typeof createStreamClient): Ask =>
  async (hub, attributes) => {
    const client = create({ address: hub.grpc });
    try {
      const { allowed, code, message, http, requestHeaders, responseHeaders, validForMs, validUses, referenced } =
        await client.check(attributes);
      const header = ({ operation, name, value }: any) => `${operation} ${name} ${value}`;
      return {
        allowed,
        status: http?.status ?? httpStatusOf(code),
        code,
        message,
        http: http === undefined ? "" : `${http.status} ${http.body}`,
        request: requestHeaders.map(header).sort(),
        response: responseHeaders.map(header).sort(),
        validForMs,
        validUses,
        referenced: referenced
          .map(({ name, key, condition }) => {
            const entry = key === undefined ? "" : `[${key}]`;
            return `${condition === "absent" ? "-" : ""}${name}${entry}`;
          })
          .sort(),
      };
    } finally {
      client.close();
    }
  };

/** Asks as Envoy does: what of the attributes has a field of its own stands there, the rest in context extensions. */
const askExtAuthz: Ask = async (hub, attributes) => {
  const extensions = new Map<string, string>();
  const source: { address?: object; principal?: string } = {};
  const http: Record<string, unknown> = { method: "GET" };
  let claims: unknown;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "source.ip") source.address = { socketAddress: { address: value, portValue: 40_000 } };
    else if (name === "source.principal") source.principal = `spiffe://${value as string}`;
    else if (name === "request.path") http["path"] = value;
    else if (name === "request.host") http["host"] = value;
    else if (name === "request.headers") http["headers"] = new Map(Object.entries(value));
    else if (name === "request.auth.claims") claims = value;
    else extensions.set(name, value as string);
  }
  const filterMetadata = claims === undefined ? [] : [["envoy.filters.http.jwt_authn", { payload: claims }] as const];
  const request = CheckRequest.fromPartial({
    attributes: {
      source: source as never,
      request: { http: http as never },
      contextExtensions: extensions,
      metadataContext: { filterMetadata: new Map(filterMetadata) },
    },
  });
  const client = connect(hub.grpc);
  try {
    const answer = await unary(
      client,
      "/envoy.service.auth.v3.Authorization/Check",
      CheckRequest.encode(request).finish(),
    );
    if (answer.code !== 0) throw new Error(`${answer.code} ${answer.details}`);
    const { status, okResponse, deniedResponse } = CheckResponse.decode(answer.bytes);
    const code = status!.code;
    const denied: number | undefined = deniedResponse?.status?.code;
    const header = ({ header: said, append }: HeaderValueOption) =>
      `${append === true ? "append" : "set"} ${said!.key} ${said!.value}`;
    const removed = (okResponse?.headersToRemove ?? []).map((name) => `remove ${name} `);
    return {
      allowed: code === 0,
      status: denied ?? 200,
      code,
      message: status!.message,
      http: denied === direct ? `${direct} ${deniedResponse!.body}` : "",
      request: [...(okResponse?.headers ?? []).map(header), ...removed].sort(),
      response: (okResponse?.responseHeadersToAdd ?? []).map(header).sort(),
    };
  } finally {
    client.close();
  }
};

/** Asks as a forward-auth proxy does: what has no header of its own is a parameter, as its configuration would say it. */
const askAuthz: Ask = async (hub, attributes) => {
  const parameters = new URLSearchParams();
  const headers: Record<string, string> = { "x-forwarded-method": "GET", "x-forwarded-uri": "/" };
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "source.ip") headers["x-forwarded-for"] = value as string;
    else if (name === "request.path") headers["x-forwarded-uri"] = value as string;
    else if (name === "request.host") headers["x-forwarded-host"] = value as string;
    else if (name === "request.headers") Object.assign(headers, value);
    else parameters.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  const response = await fetch(`http://${hub.http}/v1/authz?${parameters}`, { headers });
  const body = await response.text();
  return {
    allowed: response.status === 200,
    status: response.status,
    http: response.status === direct ? `${direct} ${body}` : "",
  };
};

export const askers: Readonly<Record<DoorName, Ask>> = {
  HTTP: askHttp,
  Mixer: askOver(createClient),
  stream: askOver(createStreamClient),
  ext_authz: askExtAuthz,
  authz: askAuthz,
};
