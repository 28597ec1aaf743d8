import { Bag } from "../../attributes/bag.ts";
import { Ip } from "../../attributes/ip.ts";
import type { HeaderOperation } from "../../runtime/decision.ts";
import { seldom } from "../../util/seldom.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { DoorOptions } from "../call.ts";
import type { HttpAnswer, HttpDoor, HttpRequest, HttpRoute } from "../http/route.ts";
import { Certificates } from "../envoy/certificate.ts";
import { notPermitted } from "../permit.ts";
import { rateLimitFields } from "../rate-limit-fields.ts";
import type { Session } from "../session.ts";
import { allowedAnswer } from "./allowed-answer.ts";
import { clientAddress, isTrusted } from "./client-address.ts";
import { certificateReader } from "./client-certificate.ts";
import { envoy, forward, nginx, type Dialect } from "./dialect.ts";
import { fillConfigured, fillRequest } from "./fill-bag.ts";
import { originalReader } from "./original-request.ts";
import { parameterReader } from "./parameters.ts";
import { readRefusalToken, refusalAnswer } from "./refusal.ts";
import { refusedAnswer } from "./refused-answer.ts";

/** The door's name, for metrics and for the lists of who may use it. */
const authzDoorName = "authz";

export interface AuthzDoorOptions extends DoorOptions {
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** An address that is not trusted is logged at most this often. */
const logEveryMs = 60_000;

/**
 * The door for HTTP authorization: a proxy asks about its caller's request, and 2xx lets it pass. Only proxies in the
 * networks of `doors.authz.trusted` may ask, since whoever asks says where the request came from.
 */
export function createAuthzDoor(options: AuthzDoorOptions): HttpDoor {
  const requireTrusted = trustGuard(options);
  const reading = { certificate: certificateReader(), certificates: new Certificates() };
  const route = (dialect: Dialect): HttpRoute => ({
    method: "any",
    path: dialect.path,
    below: dialect === envoy,
    name: dialect.name,
    handle: judge(dialect, options, requireTrusted, reading),
  });
  return {
    name: authzDoorName,
    routes: [route(nginx), route(forward), route(envoy), refusalRoute(options, requireTrusted)],
  };
}

type RequireTrusted = (session: Session, peer: string) => void;

function judge(
  dialect: Dialect,
  { open, observer, now }: AuthzDoorOptions,
  requireTrusted: RequireTrusted,
  reading: { readonly certificate: ReturnType<typeof certificateReader>; readonly certificates: Certificates },
): HttpRoute["handle"] {
  const readOriginal = originalReader(dialect);
  const readParameters = parameterReader(dialect === envoy ? ";" : "&");
  const dropped = (what: string, reason: string): void => observer.dropped(what, reason, 1);
  return async (asked) => {
    const session = open();
    try {
      requireTrusted(session, asked.call.peer);
      const { uri, parameterText } = dialect === envoy ? belowEnvoy(asked) : { uri: "", parameterText: asked.query };
      const parameters = readParameters(parameterText);
      const request = readOriginal(asked, uri);
      const { trusted } = session.doors.authz;
      const certificate =
        parameters.certificate === undefined ? undefined : request.headers.get(parameters.certificate);
      const bag = new Bag(session.layout);
      fillRequest(bag, request, {
        address: request.address === undefined ? undefined : clientAddress(request.address, trusted),
        certificate: certificate === undefined ? undefined : reading.certificate(certificate),
        certificates: reading.certificates,
        certificateHeader: parameters.certificate,
        nowMs: now(),
      });
      const { client } = asked.call;
      for (const name of parameters.attributes.keys()) {
        if (client?.maySet(name) === false) throw notPermitted(client, authzDoorName, observer, "attribute", name);
      }
      fillConfigured(bag, session.vocabulary, parameters.attributes);
      const decision = await session.check(bag, { caller: asked.call.peer, carrier: asked.call });
      if (!decision.allowed) return refusedAnswer(dialect, decision, session.doors, dropped);
      const told = rateLimitFields(decision.limits, session.doors.rateLimitFields).map(
        ([name, value]): HeaderOperation => ({ operation: "set", name, value }),
      );
      const response = told.length === 0 ? decision.responseHeaders : [...told, ...decision.responseHeaders];
      const drop = (reason: string): void => dropped("header", reason);
      return allowedAnswer(dialect, { decision, request, parameters, response, dropped: drop });
    } finally {
      session.end();
    }
  };
}

/**
 * The parts of a path that Envoy made of its `path_prefix` and its caller's path. Parameters stand in the prefix, with
 * semicolons; the caller's path begins with a slash, as Envoy makes sure, and whatever it holds is no parameter.
 */
function belowEnvoy({ path, query }: HttpRequest): { readonly uri: string; readonly parameterText: string } {
  const rest = path.slice(envoy.path.length);
  const slash = rest.indexOf("/");
  if (slash < 0 || (slash > 0 && !rest.startsWith(";"))) {
    throw new WeirError("WEIR_NOT_FOUND", `path_prefix is ${envoy.path}, with ;NAME=VALUE behind it or not`);
  }
  const uri = query === "" ? rest.slice(slash) : `${rest.slice(slash)}?${query}`;
  return { uri, parameterText: rest.slice(1, slash) };
}

/** Answers a refusal that nginx sends back, since it cannot pass it on itself. */
function refusalRoute({ open, observer }: AuthzDoorOptions, requireTrusted: RequireTrusted): HttpRoute {
  return {
    method: "any",
    path: `${nginx.path}/refusal`,
    name: "refusal",
    handle({ call }): HttpAnswer {
      const session = open();
      try {
        requireTrusted(session, call.peer);
      } finally {
        session.end();
      }
      const refusal = readRefusalToken(call.header("x-weir-refusal") ?? "");
      return refusalAnswer(refusal, () => observer.dropped("header", "bad_value", 1));
    },
  };
}

/** Throws WEIR_NOT_PERMITTED for a peer that is no trusted proxy; counts each, and logs one now and then. */
function trustGuard({ observer, log, now }: AuthzDoorOptions): RequireTrusted {
  const mayTell = seldom(now, logEveryMs);
  return (session, peer) => {
    // A link-local address may come with its zone.
    const ip = Ip.parse(peer.replace(/%.*$/, ""));
    if (ip !== undefined && isTrusted(session.doors.authz.trusted, ip)) return;
    observer.callerRefused(authzDoorName, "proxy");
    const heldBack = mayTell("proxy");
    if (heldBack !== undefined) {
      const fields = { peer, ...(heldBack > 0 && { notLogged: heldBack }) };
      log.warn(fields, "a proxy that doors.authz.trusted does not name asked for authorization and was refused");
    }
    throw new WeirError("WEIR_NOT_PERMITTED", "not permitted");
  };
}
