import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket, type SecureContextOptions, type Server, type TlsOptions } from "node:tls";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import { seldom } from "../util/seldom.ts";
import { WeirError } from "../util/weir-error.ts";
import { minVersionOf, type Certificates } from "./certificates.ts";
import { createClients, type Client, type FindClient, type HearRefusal, type NamedClient } from "./client.ts";
import { watchHandshakes } from "./handshakes.ts";
import { namesText, peerNames, type PeerNames } from "./peer-names.ts";
import type { ClientSettings, TlsSettings } from "./settings.ts";

/** Who comes in at one listener. */
export interface Gate {
  /** What a TLS server is made with; `undefined` at a listener of plain text. */
  readonly tls: TlsOptions | undefined;
  /** Watches over the handshakes of the server that was made with `tls`, and keeps its certificates current. */
  guard(server: Server): void;
  /** Gives up the handshakes that are under way. To be called when the servers take no more connections. */
  shut(): void;
  /** Who is at the other end of a connection that this gate let in; `undefined` where that can never matter. */
  guest(socket: Socket): Guest | undefined;
}

/** The other end of a connection. */
export interface Guest {
  /**
   * The client that a call comes from; `undefined` at a listener that names none, where everybody may use every door.
   * `door` is left out for a call to what is no door.
   *
   * @throws WeirError WEIR_NOT_PERMITTED, in the same words whatever the reason, when the caller may not use it.
   */
  enter(door: string | undefined): Client | undefined;
}

/** A gate whose certificates and clients can be changed while connections are open. */
export interface ManagedGate extends Gate {
  /** Shows the certificates to every new connection. Those that are there stay as they are. */
  setCertificates(certificates: Certificates): void;
  /** Who may use the listener from now on. Connections of a client whose rights have changed are closed. */
  setClients(clients: readonly ClientSettings[] | undefined): void;
}

export interface GateOptions {
  /** `grpc`, `http` or `admin`. */
  readonly listener: string;
  readonly tls?: TlsSettings | undefined;
  /** There when `tls` is. */
  readonly certificates?: Certificates | undefined;
  readonly clients?: readonly ClientSettings[] | undefined;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Handshakes at once. Default 512. */
  readonly maxHandshakes?: number;
  /** How long a handshake may take. Default 10 s. */
  readonly handshakeMs?: number;
}

/** A gate of plain text through which everybody comes. */
export const openGate: Gate = {
  tls: undefined,
  guard: () => undefined,
  shut: () => undefined,
  guest: () => undefined,
};

const noNames: PeerNames = { spiffe: undefined, dns: [] };

/** Makes the gate of a listener. */
export function createGate(options: GateOptions): ManagedGate {
  const { listener, observer, log } = options;
  const mayTell = seldom(options.now);
  /** The servers, and what gives up their handshakes. */
  const servers = new Map<Server, () => void>();
  let context = options.tls && options.certificates && contextOf(options.tls, options.certificates);
  /** Connections at a listener that names its clients. */
  const guests = new Set<Connected>();

  const tell = (reason: string, message: string, fields: object): void => {
    const heldBack = mayTell(reason);
    if (heldBack === undefined) return;
    log.warn({ listener, reason, ...fields, ...(heldBack > 0 && { notLogged: heldBack }) }, message);
  };
  const refused = (reason: string, message: string, fields: object): void => {
    observer.callerRefused(listener, reason);
    tell(reason, message, fields);
  };

  // A door counts these itself.
  const hear: HearRefusal = (client, door, what, value) =>
    tell(what, "a call was refused", { client, door, [what]: value });
  let clients = settingsOf(options.clients, hear);

  return {
    get tls() {
      return context && options.tls && serverOptions(options.tls, context, options.handshakeMs ?? 10_000);
    },
    guard(server) {
      server.once("close", () => servers.delete(server));
      const giveUp = watchHandshakes(server, {
        refused: (reason, peer, error) =>
          refused(reason, "a connection was refused", { peer, ...(error && { error: error.reason ?? error.message }) }),
        ...(options.maxHandshakes !== undefined && { maxPending: options.maxHandshakes }),
      });
      servers.set(server, giveUp);
    },
    shut() {
      for (const giveUp of servers.values()) giveUp();
    },
    guest(socket) {
      // Who shows no certificate can never be named.
      if (options.tls?.clientAuth !== "required") return undefined;
      const guest = new Connected(socket, clients.find, (names, reason, client, door) =>
        refused(reason, "a call was refused", {
          peer: socket.remoteAddress,
          certificate: namesText(names),
          ...(client && { client: client.name }),
          ...(door !== undefined && { door }),
        }),
      );
      guests.add(guest);
      socket.once("close", () => guests.delete(guest));
      return guest;
    },
    setCertificates(certificates) {
      if (options.tls === undefined) return;
      context = contextOf(options.tls, certificates);
      for (const server of servers.keys()) server.setSecureContext(context);
    },
    setClients(changed) {
      const next = settingsOf(changed, hear);
      if (next.text === clients.text) return;
      const before = clients;
      clients = next;
      for (const guest of guests) guest.change(next.find, (name) => before.of(name) === next.of(name));
    },
  };
}

type Refused = (
  names: PeerNames,
  reason: "client" | "door",
  client: NamedClient | undefined,
  door: string | undefined,
) => void;

/** One connection. */
class Connected implements Guest {
  readonly #socket: Socket;
  readonly #names: PeerNames;
  readonly #refused: Refused;
  #isNamed: boolean;
  #client: NamedClient | undefined;

  constructor(socket: Socket, find: FindClient | undefined, refused: Refused) {
    this.#socket = socket;
    this.#names = namesOf(socket);
    this.#refused = refused;
    this.#isNamed = find !== undefined;
    this.#client = find?.(this.#names);
  }

  enter(door: string | undefined): Client | undefined {
    if (!this.#isNamed) return undefined;
    const client = this.#client;
    if (client !== undefined && door !== undefined && client.mayUse(door)) return client;
    this.#refused(this.#names, client === undefined ? "client" : "door", client, door);
    throw new WeirError("WEIR_NOT_PERMITTED", "not permitted");
  }

  /** Takes new rights. A connection whose rights are not what they were is closed, since streams on it have the old ones. */
  change(find: FindClient | undefined, isSame: (name: string) => boolean): void {
    const before = this.#client;
    const wasNamed = this.#isNamed;
    this.#isNamed = find !== undefined;
    this.#client = find?.(this.#names);
    const hasSameName = wasNamed === this.#isNamed && before?.name === this.#client?.name;
    if (!hasSameName || (before !== undefined && !isSame(before.name))) this.#socket.destroy();
  }
}

function namesOf(socket: Socket): PeerNames {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return noNames;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? noNames : peerNames(certificate);
}

interface Clients {
  readonly text: string;
  readonly find: FindClient | undefined;
  /** What is said of one client, as text. */
  of(name: string): string | undefined;
}

function settingsOf(settings: readonly ClientSettings[] | undefined, hear: HearRefusal): Clients {
  const texts = new Map(settings?.map((each) => [each.name, JSON.stringify(each)]));
  return {
    text: settings === undefined ? "" : [...texts.values()].join("\n"),
    find: settings && createClients(settings, hear),
    of: (name) => texts.get(name),
  };
}

function contextOf(tls: TlsSettings, { cert, key, ca }: Certificates): SecureContextOptions {
  const resumed = tls.clientAuth === "none" ? 0 : constants.SSL_OP_NO_TICKET;
  return {
    cert,
    key,
    // Without it Node would take the client certificates of every public authority.
    ca: ca ?? [],
    minVersion: minVersionOf(tls),
    // A session that is taken up again would be let in without another look at its certificate.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | resumed,
  };
}

function serverOptions(
  { clientAuth }: TlsSettings,
  context: SecureContextOptions,
  handshakeTimeout: number,
): TlsOptions {
  return {
    ...context,
    requestCert: clientAuth !== "none",
    rejectUnauthorized: clientAuth === "required",
    handshakeTimeout,
  };
}
