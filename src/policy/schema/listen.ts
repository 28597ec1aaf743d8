import { list, record } from "../shape/collections.ts";
import { choice, parsedText, text } from "../shape/scalars.ts";
import type { Located, Read, Shape } from "../shape/shape.ts";

const addressExpected = "an address such as 127.0.0.1:9091";

/** `HOST:PORT`, an IPv6 host in brackets; port 0 is any free one. */
const address = parsedText({
  expected: addressExpected,
  parse(value) {
    const m = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})$/.exec(value);
    if (m !== null) return Number(m[2]) <= 65_535 ? { value } : { problem: "a port is a number from 0 to 65535" };
    const hint = value.startsWith(":") ? `every interface of the machine is 0.0.0.0${value.slice(0, 8)}` : undefined;
    const problem = `expected ${addressExpected}, got ${JSON.stringify(value.slice(0, 60))}`;
    return hint === undefined ? { problem } : { problem, hint };
  },
  schema: { type: "string" },
});

const path = text("the path of a PEM file");

export const tlsShape = record("TLS", {
  cert: {
    shape: path,
    description: "PEM file of the certificate, those that lead to its authority after it.",
    required: true,
  },
  key: { shape: path, description: "PEM file of its private key.", required: true },
  ca: {
    shape: path,
    description: "PEM file of the authorities whose client certificates count.",
    default: "none",
  },
  clientAuth: {
    shape: choice("what is asked of clients", ["none", "optional", "required"]),
    description:
      "`none`: no certificate; `optional`: one that is shown must be valid; `required`: who has none is refused.",
    default: "`required` with `ca`, else `none`",
  },
  minVersion: {
    shape: choice("a version of TLS", ["1.2", "1.3"], { "1.0": "it is broken", "1.1": "it is broken" }),
    description: "The oldest version of TLS that is spoken: `1.2` or `1.3`.",
    default: "`1.2`",
  },
});

/** The doors of each listener, by the names that metrics and `clients:` know them by. */
export const doorNames = {
  grpc: ["mixer", "stream", "ext_authz", "ratelimit", "ratelimit_quota", "accesslog", "health", "reflection"],
  http: ["http", "authz"],
} as const;

const clientNameExpected = "a SPIFFE id such as spiffe://mesh.example/ns/shop/sa/web, or a DNS name";

/** Of what may be named in a certificate, what names a client. */
const clientName = parsedText({
  expected: clientNameExpected,
  parse(value) {
    if (value.startsWith("spiffe://")) {
      if (value.length > 2048) return { problem: "a SPIFFE id has at most 2048 characters" };
      if (/^spiffe:\/\/[a-z0-9._-]{1,255}\/([A-Za-z0-9._/-]*\*|[A-Za-z0-9._/-]+)$/.test(value)) return { value };
      const hint = "* stands only at the end, and after the trust domain: spiffe://mesh.example/ns/shop/*";
      return { problem: `"${value.slice(0, 100)}" is no SPIFFE id`, hint };
    }
    if (/^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?){1,20}$/.test(value) && value.length <= 253)
      return { value: value.toLowerCase() };
    const hint = value.includes("*") ? "a DNS name is written whole; * may end a SPIFFE id" : undefined;
    const problem = `expected ${clientNameExpected}, got ${JSON.stringify(value.slice(0, 60))}`;
    return hint === undefined ? { problem } : { problem, hint };
  },
  schema: { type: "string" },
});

/** A name, or the beginning of names followed by `*`. */
const pattern = parsedText({
  expected: "a name, or a beginning of names followed by *",
  parse: (value) => (/^[^*\s]{0,255}\*?$/.test(value) && value !== "" ? { value } : undefined),
  schema: { type: "string", pattern: "^[^*\\s]{0,255}\\*?$" },
});

function clientShapeOf(doors: readonly string[]) {
  return record("a client", {
    name: {
      shape: clientName,
      description: "A SPIFFE id, perhaps with `*` at its end, or a DNS name, as the client's certificate has it.",
      required: true,
    },
    doors: {
      shape: list("a list of doors", choice("a door of this listener", doors)),
      description: "The doors that it may use.",
      default: "all",
    },
    domains: {
      shape: list("a list of domains", pattern),
      description: "The `domain`s that it may ask the rate limit door about; `*` may end one.",
      default: "all",
    },
    attributes: {
      shape: list("a list of attributes", pattern),
      description: "The attributes that it may set; `source.*` stands for all that begin so.",
      default: "all",
    },
  });
}

export const clientShape = clientShapeOf(doorNames.grpc);

const adminClientShape = record("a client", { name: clientShape.fields.name });

function listenerFields<C>(client: Shape<C>) {
  return {
    address: { shape: address, description: "Host and port.", required: true },
    tls: { shape: tlsShape, description: "Certificates to serve TLS with.", default: "plain text" },
    clients: {
      shape: list("a list of clients", client),
      description: "Who may use it, by the names in their certificates.",
      default: "whoever can reach it",
    },
  } as const;
}

export const listenerShape = record("a listener", listenerFields(clientShape));
const httpListenerShape = record("a listener", listenerFields(clientShapeOf(doorNames.http)));

/** The pages of the admin listener that may be open, and which are when nothing is said. */
export const openPages = [
  "/",
  "/healthz",
  "/readyz",
  "/metrics",
  "/status",
  "/policies",
  "/adapters",
  "/graph",
  "/limits",
  "/refusals",
  "/version",
] as const;
export const openByDefault = ["/healthz", "/readyz"] as const;

const place = text("the path of a file or a folder");
const placeList = list("a list of files and folders", place);

const places: typeof placeList = {
  expected: "the path of a file or a folder, or a list of such",
  schema: { anyOf: [place.schema, placeList.schema] },
  read(node, reading) {
    if (node.kind === "list") return placeList.read(node, reading);
    const read = place.read(node, reading);
    return read && { items: [read], node };
  },
};

export const adminListenerShape = record("a listener", {
  ...listenerFields(adminClientShape),
  tokens: {
    shape: places,
    description: "Files of bearer tokens and folders of such, one file a person.",
    default: "no token is asked for",
  },
  open: {
    shape: list("a list of pages", choice("a page of the admin listener", openPages)),
    description: "The pages that need no token.",
    default: "`[/healthz, /readyz]`",
  },
});

/** An address by itself, or a map. */
function addressOr<T extends { readonly address?: Located<string> | undefined }>(map: Shape<T>): Shape<Partial<T>> {
  return {
    expected: "an address, or a map with the key address",
    schema: { anyOf: [address.schema, map.schema] },
    read(node, reading) {
      if (node.kind === "map") return map.read(node, reading);
      const read = address.read(node, reading);
      return read && ({ address: read } as Partial<T>);
    },
  };
}

export const listenShape = record("the addresses of the listeners", {
  grpc: {
    shape: addressOr(listenerShape),
    description: "gRPC doors, for proxies and services.",
    default: "`127.0.0.1:9091`",
  },
  http: {
    shape: addressOr(httpListenerShape),
    description: "HTTP doors, for proxies and services.",
    default: "`127.0.0.1:9092`",
  },
  admin: {
    shape: addressOr(adminListenerShape),
    description: "Health, metrics and introspection, for operators and scrapers only.",
    default: "`127.0.0.1:9093`",
  },
});

export type RawTls = Read<typeof tlsShape>;
/** What the records of all listeners have in common. */
export type RawListener = Partial<Read<typeof listenerShape>>;
export type RawListen = Read<typeof listenShape>;
