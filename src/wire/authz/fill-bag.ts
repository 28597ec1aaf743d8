import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import { setMap } from "../../attributes/set-map.ts";
import { setNamed } from "../../attributes/set-named.ts";
import { parseValue } from "../../attributes/text.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Value } from "../../attributes/value.ts";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import { nearest } from "../../util/nearest.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { Certificates } from "../envoy/certificate.ts";
import { principalOf } from "../envoy/principal.ts";
import { isGrpcType } from "../grpc/type.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import { textOf } from "./header-text.ts";
import type { OriginalRequest } from "./original-request.ts";

/** What is known of the caller beside its request. */
export interface Origin {
  readonly address: Value | Fault | undefined;
  /** The certificate that it proved. */
  readonly certificate: ClientCertificate | Fault | undefined;
  readonly certificates: Certificates;
  /** The header that the certificate came in, which is not the caller's. */
  readonly certificateHeader: string | undefined;
  readonly nowMs: number;
}

/** Fills a bag with what a proxy said of its caller's request. `docs/doors/authz.md` has the table. */
export function fillRequest(bag: Bag, request: OriginalRequest, origin: Origin): void {
  const { layout } = bag;
  const set = (name: string, value: () => Value | Fault | undefined): void => {
    const slot = layout.find(name);
    if (slot !== undefined) bag.set(slot, value());
  };
  const text = (name: string, raw: string | undefined): void => {
    if (raw !== undefined && raw !== "") set(name, () => textOf(raw));
  };
  const { method, uri, host, scheme, id, headers } = request;
  set("source.ip", () => origin.address);
  fillCertificate(bag, set, origin);
  text("request.method", method);
  text("request.path", uri);
  text("request.host", host);
  text("request.id", id);
  const plainScheme = schemeOf(scheme);
  if (plainScheme !== undefined) set("request.scheme", () => plainScheme);
  text("request.useragent", headers.get("user-agent"));
  text("request.referer", headers.get("referer"));
  text("request.api_key", headers.get("x-api-key"));
  for (const name of ["request.time", "context.time", "context.timestamp"]) {
    set(name, () => Timestamp.fromMs(origin.nowMs));
  }
  set("context.protocol", () => (isGrpcType(headers.get("content-type") ?? "") ? "grpc" : "http"));
  if (layout.find("request.headers") !== undefined) {
    const decoded = new Map<string, string>();
    for (const [name, raw] of headers) decoded.set(name, textOf(raw));
    if (host !== undefined) decoded.set("host", textOf(host));
    if (origin.certificateHeader !== undefined) decoded.delete(origin.certificateHeader);
    setMap(bag, "request.headers", decoded);
  }
}

/**
 * Sets the attributes that the proxy's configuration names, over what else was known. Throws WEIR_REQUEST_ATTRIBUTE for
 * a name that is no attribute and for a text that is none of its type.
 */
export function fillConfigured(bag: Bag, vocabulary: Vocabulary, attributes: ReadonlyMap<string, string>): void {
  for (const [name, text] of attributes) {
    const attribute = vocabulary.get(name);
    if (attribute === undefined) {
      const near = nearest(name, vocabulary.keys());
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new WeirError(
        "WEIR_REQUEST_ATTRIBUTE",
        `there is no attribute ${JSON.stringify(name.slice(0, 60))}${hint}`,
      );
    }
    const value = parseValue(attribute.type, text);
    if (value === undefined) {
      const shown = JSON.stringify(text.slice(0, 60));
      throw new WeirError("WEIR_REQUEST_ATTRIBUTE", `${name} is of type ${attribute.type}, and ${shown} is not`);
    }
    setNamed(bag, name, value);
  }
}

function fillCertificate(
  bag: Bag,
  set: (name: string, value: () => Value | Fault | undefined) => void,
  { certificate, certificates, certificateHeader }: Origin,
): void {
  if (certificate === undefined) {
    if (certificateHeader !== undefined) set("connection.mtls", () => false);
    return;
  }
  const fault = certificate instanceof Fault ? certificate : undefined;
  const principal = certificate instanceof Fault ? undefined : principalOf(certificate.identity);
  set("source.principal", () => fault ?? principal?.name);
  set("source.user", () => fault ?? principal?.name);
  set("source.namespace", () => fault ?? principal?.workload?.namespace);
  set("source.serviceAccount", () => fault ?? principal?.workload?.serviceAccount);
  set("connection.mtls", () => fault ?? true);
  const pem = certificate instanceof Fault ? "" : certificate.pem;
  if (pem !== undefined) certificates.set(bag, pem);
}

/** `http` or `https`; the same for a WebSocket, which begins as HTTP. */
function schemeOf(scheme: string | undefined): string | undefined {
  const lower = scheme?.toLowerCase();
  if (lower === "http" || lower === "ws") return "http";
  return lower === "https" || lower === "wss" ? "https" : undefined;
}
