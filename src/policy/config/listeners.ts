import { resolve } from "node:path";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import type { AdminSettings, ClientSettings, Listeners, ListenerSettings, TlsSettings } from "../../listen/settings.ts";
import { nearest } from "../../util/nearest.ts";
import type { ListenOverrides } from "./config.ts";
import { openByDefault } from "../schema/listen.ts";
import type { RawListen, RawListener, RawTls } from "../schema/listen.ts";
import type { Located, Reading } from "../shape/shape.ts";

export interface ListenersOptions {
  /** The folder that relative paths are meant from, absolute. */
  readonly folder: string;
  readonly listen?: ListenOverrides | undefined;
}

/** `listen:` of weir.yaml with its defaults. Tells of keys that do not go together; no file is read. */
export function listenersOf(
  raw: RawListen | undefined,
  vocabulary: Vocabulary,
  reading: Reading | undefined,
  { folder, listen }: ListenersOptions,
): Listeners {
  const listener = (
    given: RawListener | undefined,
    override: string | undefined,
    address: string,
  ): ListenerSettings => {
    if (given !== undefined && reading !== undefined) tellContradictions(given, vocabulary, reading);
    const tls = given?.tls && tlsOf(given.tls, folder);
    const clients = given?.clients?.items.flatMap((each) => clientOf(each) ?? []);
    return {
      address: override ?? given?.address?.value ?? address,
      ...(tls && { tls }),
      ...(clients && { clients }),
    };
  };
  const admin = raw?.admin;
  const settings: AdminSettings = {
    ...listener(admin as RawListener | undefined, listen?.admin, "127.0.0.1:9093"),
    ...(admin?.tokens && { tokens: admin.tokens.items.map(({ value }) => resolve(folder, value)) }),
    open: admin?.open?.items.map(({ value }) => value) ?? openByDefault,
  };
  if (admin?.open !== undefined && admin.tokens === undefined) {
    reading?.tell(admin.open.node, {
      code: "WEIR_LISTENER_CALLERS",
      message: "every page is open where no tokens are asked for",
      hint: "tokens: FOLDER closes the others",
    });
  }
  if (admin?.tokens !== undefined && settings.tls === undefined && !isLoopback(settings.address)) {
    reading?.tell(admin.tokens.node, {
      code: "WEIR_LISTENER_CALLERS",
      severity: "warning",
      message: "without tls, tokens can be read on the way",
    });
  }
  const listeners = {
    grpc: listener(raw?.grpc, listen?.grpc, "127.0.0.1:9091"),
    http: listener(raw?.http as RawListener | undefined, listen?.http, "127.0.0.1:9092"),
    admin: settings,
  };
  if (reading !== undefined) tellSharedAddresses(listeners, raw, reading);
  return listeners;
}

/** Tells of addresses in the file that another listener has, there or by default. Port 0 is another one each time. */
function tellSharedAddresses(listeners: Listeners, raw: RawListen | undefined, reading: Reading): void {
  const names = ["grpc", "http", "admin"] as const;
  const said = (name: keyof Listeners) => raw?.[name]?.address;
  const taken = new Map<string, keyof Listeners>();
  for (const name of [...names.filter((each) => !said(each)), ...names.filter(said)]) {
    const { address } = listeners[name];
    const other = taken.get(address);
    taken.set(address, name);
    if (other === undefined || address.endsWith(":0") || said(name)?.value !== address) continue;
    reading.tell(said(name)!.node, {
      code: "WEIR_POLICY_DUPLICATE",
      message: `the listener ${other} has the address ${address} already`,
      hint: "give each listener an address of its own",
    });
  }
}

function tlsOf({ cert, key, ca, clientAuth, minVersion }: RawTls, folder: string): TlsSettings | undefined {
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: resolve(folder, cert.value),
    key: resolve(folder, key.value),
    ...(ca && { ca: resolve(folder, ca.value) }),
    clientAuth: clientAuth?.value ?? (ca === undefined ? "none" : "required"),
    minVersion: minVersion?.value ?? "1.2",
  };
}

type RawClient = NonNullable<RawListener["clients"]>["items"][number];

function clientOf({ name, doors, domains, attributes }: Partial<RawClient>): ClientSettings | undefined {
  if (name === undefined) return undefined;
  const values = (items: readonly Located<string>[]) => items.map(({ value }) => value);
  return {
    name: name.value,
    ...(doors && { doors: values(doors.items) }),
    ...(domains && { domains: values(domains.items) }),
    ...(attributes && { attributes: values(attributes.items) }),
  };
}

function tellContradictions({ tls, clients }: RawListener, vocabulary: Vocabulary, reading: Reading): void {
  const clientAuth = tls?.clientAuth?.value ?? (tls?.ca === undefined ? "none" : "required");
  const tell = (node: Parameters<Reading["tell"]>[0], message: string, hint?: string): void =>
    reading.tell(node, { code: "WEIR_LISTENER_CALLERS", message, hint });
  if (tls?.clientAuth !== undefined && clientAuth !== "none" && tls.ca === undefined) {
    tell(tls.clientAuth.node, "nothing says whose client certificates count", "ca: FILE names their authorities");
  }
  if (tls?.ca !== undefined && clientAuth === "none") {
    tell(tls.ca.node, "ca is for the certificates of clients, and clientAuth: none asks for none");
  }
  if (clients === undefined) return;
  if (clientAuth !== "required") {
    const hint = tls === undefined ? "tls: { cert, key, ca } serves and asks for certificates" : "clientAuth: required";
    tell(clients.node, "clients are known by their certificates, and none is required here", hint);
  }
  if (clients.items.length === 0) tell(clients.node, "nobody may use this listener");
  const seen = new Set<string>();
  for (const { name, attributes } of clients.items as readonly Partial<RawClient>[]) {
    if (name !== undefined && seen.size === seen.add(name.value).size) {
      reading.tell(name.node, { code: "WEIR_POLICY_DUPLICATE", message: `the client ${name.value} is there already` });
    }
    for (const { value, node } of attributes?.items ?? []) tellUnknownAttribute(value, node, vocabulary, reading);
  }
}

function tellUnknownAttribute(
  value: string,
  node: Located<string>["node"],
  vocabulary: Vocabulary,
  reading: Reading,
): void {
  const beginning = value.endsWith("*") ? value.slice(0, -1) : undefined;
  const names = [...vocabulary.keys()];
  const known = beginning === undefined ? vocabulary.has(value) : names.some((name) => name.startsWith(beginning));
  if (known) return;
  const near = nearest(value, names);
  reading.tell(node, {
    code: "WEIR_LISTENER_CALLERS",
    message: beginning === undefined ? `there is no attribute "${value}"` : `no attribute begins with "${beginning}"`,
    hint: near === undefined ? undefined : `did you mean "${near}"?`,
  });
}

function isLoopback(address: string): boolean {
  return /^(127\.|localhost:|\[::1\])/.test(address);
}
