import type { Layout } from "../../../attributes/layout.ts";
import { KeyTable } from "../../key-table.ts";
import { certificateAttributes } from "../certificate.ts";
import { PartCache } from "../part-cache.ts";
import type { PrincipalSlots } from "../principal.ts";
import { tokenAttributes } from "../token.ts";
import { type Extension, readExtension } from "./context-extensions.ts";

/** What a header of the request fills. A slot of -1: nothing. */
export interface HeaderUse {
  /** Of `request.headers["NAME"]`. */
  readonly key: number;
  /** Of the attribute that is made of the header alone. */
  readonly attribute: number;
  /** Whether it says that the request is a call of gRPC. */
  readonly isContentType: boolean;
  /** Whether it says that Envoy sent the body's beginning alone. */
  readonly isPartialBody: boolean;
}

/** Headers that are attributes of their own. */
const headerAttributes: Readonly<Record<string, string>> = {
  referer: "request.referer",
  "user-agent": "request.useragent",
  "x-api-key": "request.api_key",
  "x-request-id": "request.id",
};

const contentType = "content-type";
/** Envoy writes it wherever it sends a body, over what the caller wrote. */
const partialBody = "x-envoy-auth-partial-body";

/** What of a peer is read. */
export interface PeerSlots extends PrincipalSlots {
  readonly ip: number;
  readonly port: number;
  /** The attribute, whether its map is read or not. */
  readonly labels: string;
  readonly readsLabels: boolean;
  /** Whether anything is read that its identity tells. */
  readonly readsIdentity: boolean;
}

/** A layout, prepared for reading requests of ext_authz: where each thing goes. A slot of -1: no rule reads it. */
export class RequestTable {
  readonly layout: Layout;
  readonly source: PeerSlots;
  readonly destination: PeerSlots;
  readonly readsSource: boolean;
  readonly readsDestination: boolean;
  readonly mtls: number;
  readonly readsCertificate: boolean;
  readonly time: number;
  readonly contextTime: number;
  readonly contextTimestamp: number;
  readonly id: number;
  readonly method: number;
  readonly path: number;
  readonly host: number;
  /** Of `request.headers["host"]`. */
  readonly hostKey: number;
  readonly readsHost: boolean;
  readonly scheme: number;
  readonly httpVersion: number;
  readonly size: number;
  readonly body: number;
  readonly rawBody: number;
  readonly protocol: number;
  readonly serverName: number;
  readonly extensions: number;
  readonly readsMetadata: boolean;
  readonly readsRouteMetadata: boolean;
  readonly readsToken: boolean;
  /** The slot of the token's principal, where rules read nothing else of tokens and metadata; else -1. */
  readonly onlyPrincipal: number;
  /** The slot of `request.headers`. */
  readonly headers: number;
  /** Whether some rule reads all headers. */
  readonly allHeaders: boolean;
  /** Those that fill something, and what says that the request is a call of gRPC. */
  readonly headerNames: KeyTable;
  /** By the position of the name in {@link RequestTable.headerNames}. */
  readonly headerUses: readonly HeaderUse[];
  /** By the tag of a field of the request of HTTP: the slot of its text, {@link unread}, or {@link special}. */
  readonly httpTexts: Int32Array;
  /** Context extensions by their bytes: those of a listener are the same in each of its requests. */
  readonly contextExtensions: PartCache<Extension>;

  constructor(layout: Layout) {
    this.layout = layout;
    const slot = (name: string): number => layout.find(name) ?? -1;
    const reads = (names: readonly string[]): boolean => names.some((name) => layout.find(name) !== undefined);
    this.source = peerSlots(layout, "source");
    this.destination = peerSlots(layout, "destination");
    this.mtls = slot("connection.mtls");
    this.readsCertificate = reads(certificateAttributes);
    this.readsSource = this.mtls >= 0 || this.readsCertificate || reads(peerNames("source"));
    this.readsDestination = reads(peerNames("destination"));
    this.time = slot("request.time");
    this.contextTime = slot("context.time");
    this.contextTimestamp = slot("context.timestamp");
    this.id = slot("request.id");
    this.method = slot("request.method");
    this.path = slot("request.path");
    this.host = slot("request.host");
    this.scheme = slot("request.scheme");
    this.httpVersion = slot("request.protocol");
    this.size = slot("request.size");
    this.body = slot("request.body");
    this.rawBody = slot("request.raw_body");
    this.protocol = slot("context.protocol");
    this.serverName = slot("connection.requested_server_name");
    this.extensions = slot("context.extensions");
    this.readsMetadata = reads(["context.metadata"]);
    this.readsRouteMetadata = reads(["context.route_metadata"]);
    this.readsToken = reads(tokenAttributes);
    const readsMore = this.readsMetadata || reads(tokenAttributes.filter((name) => name !== "request.auth.principal"));
    this.onlyPrincipal = readsMore ? -1 : slot("request.auth.principal");
    this.headers = slot("request.headers");
    this.allHeaders = this.headers >= 0 && layout.isWhole(this.headers);
    const keys = layout.keysOf("request.headers") ?? new Map<string, number>();
    this.hostKey = keys.get("host") ?? -1;
    this.readsHost = this.host >= 0 || this.hostKey >= 0 || this.allHeaders;
    const attributeOf = (name: string): number =>
      Object.hasOwn(headerAttributes, name) ? slot(headerAttributes[name]!) : -1;
    const named = Object.keys(headerAttributes).filter((name) => attributeOf(name) >= 0);
    // Pseudo-headers are no headers, whoever asks for them.
    const ofBody = this.body >= 0 || this.rawBody >= 0 ? [partialBody] : [];
    const names = [...new Set([...keys.keys(), ...named, contentType, ...ofBody])].filter(
      (name) => !name.startsWith(":"),
    );
    this.headerNames = new KeyTable(names);
    this.headerUses = names.map((name) => ({
      key: keys.get(name) ?? -1,
      attribute: attributeOf(name),
      isContentType: name === contentType,
      isPartialBody: name === partialBody,
    }));
    this.httpTexts = httpTexts(this);
    this.contextExtensions = new PartCache((reader) => readExtension(layout, reader), keptExtensions);
  }
}

/** How many context extensions are remembered, with what they set. */
const keptExtensions = 256;

/** Of a field that is stepped over. */
export const unread = -1;
/** Of a field that is no text, or more than a text in a slot. */
export const special = -2;

function httpTexts({ id, method, path, scheme, httpVersion, readsHost }: RequestTable): Int32Array {
  const texts = new Int32Array(128).fill(special);
  for (let tag = 0x0a; tag < 128; tag += 8) texts[tag] = unread;
  for (const tag of [httpTags.header, httpTags.headerMap, httpTags.body, httpTags.rawBody]) texts[tag] = special;
  if (readsHost) texts[httpTags.host] = special;
  if (id >= 0) texts[httpTags.id] = special;
  texts[httpTags.method] = method;
  texts[httpTags.path] = path;
  texts[httpTags.scheme] = scheme;
  texts[httpTags.protocol] = httpVersion;
  return texts;
}

/** Tags of fields of AttributeContext.HttpRequest. */
export const httpTags = {
  id: 0x0a,
  method: 0x12,
  header: 0x1a,
  path: 0x22,
  host: 0x2a,
  scheme: 0x32,
  size: 0x48,
  protocol: 0x52,
  body: 0x5a,
  rawBody: 0x62,
  headerMap: 0x6a,
} as const;

type Peer = "source" | "destination";

const peerWords = ["ip", "port", "principal", "user", "namespace", "serviceAccount", "labels"];

function peerNames(peer: Peer): readonly string[] {
  return peerWords.map((word) => `${peer}.${word}`);
}

function peerSlots(layout: Layout, peer: Peer): PeerSlots {
  const slot = (name: string): number => layout.find(`${peer}.${name}`) ?? -1;
  const identity = {
    principal: slot("principal"),
    user: slot("user"),
    namespace: slot("namespace"),
    serviceAccount: slot("serviceAccount"),
  };
  return {
    ip: slot("ip"),
    port: slot("port"),
    ...identity,
    readsIdentity: Object.values(identity).some((each) => each >= 0),
    labels: `${peer}.labels`,
    readsLabels: slot("labels") >= 0,
  };
}
