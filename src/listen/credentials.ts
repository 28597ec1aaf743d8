import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { Timers } from "../util/timers.ts";
import { seldom } from "../util/seldom.ts";
import { WeirError } from "../util/weir-error.ts";
import { readCertificates, type Certificates } from "./certificates.ts";
import { createGate, type Gate, type ManagedGate } from "./gate.ts";
import type { Listeners, ListenerSettings } from "./settings.ts";
import { personOf, readTokens, type Tokens } from "./tokens.ts";

type ListenerName = keyof Listeners;
const listenerNames: readonly ListenerName[] = ["grpc", "http", "admin"];

export interface CredentialsOptions {
  readonly listeners: Listeners;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  /** A text that changes when one of the files does. */
  readonly fingerprint: (paths: readonly string[]) => Promise<string>;
}

/** How the files of one listener are. */
export interface CredentialState {
  readonly listener: ListenerName;
  /** What is wrong with them; while something is, the certificate that was there before is served. */
  readonly problems: readonly string[];
  /** When the certificate that is served expires, in milliseconds since 1970. Left out at a listener of plain text. */
  readonly notAfterMs?: number;
}

/** Asks for bearer tokens. */
export interface TokenCheck {
  /** The pages that need none. */
  readonly open: readonly string[];
  /** Whose token an `Authorization` header holds, if anybody's. */
  personOf(authorization: string | undefined): string | undefined;
  /** To be told of a request that was refused for want of one. */
  refused(peer: string | undefined): void;
}

/** Certificates, clients and tokens of all listeners, read again when their files change. */
export interface Credentials {
  readonly gates: Readonly<Record<ListenerName, Gate>>;
  /** There when the admin listener asks for tokens. */
  readonly tokens: TokenCheck | undefined;
  states(): readonly CredentialState[];
  /** The files to watch, and what is known of them: the fingerprint from before they were read last. */
  files(): readonly string[];
  known(): string;
  /**
   * Reads the files again, those that the settings name where some are given, and takes from them the clients too. What
   * cannot be used is logged and shown, and changes nothing; a token whose file is gone or broken lets nobody in.
   */
  refresh(listeners?: Listeners): Promise<void>;
  close(): void;
}

const dayMs = 86_400_000;
const expiryLookMs = dayMs / 4;
/** A certificate that expires sooner is warned of. */
const expirySoonMs = 7 * dayMs;

interface Kept {
  readonly gate: ManagedGate;
  certificates: Certificates | undefined;
  problems: readonly string[];
}

/** Reads all files for the first time. Throws WEIR_LISTEN when a listener cannot be served with what they hold. */
export async function readCredentials(options: CredentialsOptions): Promise<Credentials> {
  const { observer, log, now, timers } = options;
  let { listeners } = options;
  let known = "";
  let tokens: Tokens = { people: [], flaws: [] };
  const mayTell = seldom(now);

  const files = (): string[] => [
    ...listenerNames.flatMap((name) => {
      const { tls } = listeners[name];
      return tls === undefined ? [] : [tls.cert, tls.key, ...(tls.ca === undefined ? [] : [tls.ca])];
    }),
    ...(listeners.admin.tokens ?? []),
  ];

  const read = async (name: ListenerName): Promise<{ certificates?: Certificates; problems: string[] }> => {
    const { tls } = listeners[name];
    if (tls === undefined) return { problems: [] };
    const found = await readCertificates(tls);
    if ("flaws" in found) return { problems: found.flaws.map(({ key, message }) => `tls.${key}: ${message}`) };
    return { certificates: found, problems: [] };
  };

  const readPeople = async (): Promise<void> => {
    const before = tokens.flaws.map(({ path }) => path);
    tokens = await readTokens(listeners.admin.tokens ?? []);
    for (const { path, message } of tokens.flaws) {
      if (!before.includes(path)) log.error({ path, reason: message }, "a token cannot be used: it lets nobody in");
    }
  };

  const kept = {} as Record<ListenerName, Kept>;
  known = await options.fingerprint(files());
  for (const name of listenerNames) {
    const { certificates, problems } = await read(name);
    if (problems.length > 0)
      throw new WeirError("WEIR_LISTEN", `the ${name} listener cannot serve TLS: ${problems[0]}`);
    const { tls, clients } = listeners[name];
    const gate = createGate({ listener: name, tls, clients, certificates, observer, log, now });
    kept[name] = { gate, certificates, problems };
  }
  await readPeople();

  const lookAtExpiry = (): void => {
    for (const name of listenerNames) {
      const notAfterMs = kept[name].certificates?.notAfterMs;
      if (notAfterMs === undefined || notAfterMs - now() >= expirySoonMs) continue;
      const days = Math.floor((notAfterMs - now()) / dayMs);
      const fields = { listener: name, notAfter: new Date(notAfterMs).toISOString(), days };
      if (days < 0) log.error(fields, "the certificate of a listener has expired");
      else log.warn(fields, "the certificate of a listener expires soon");
    }
  };
  lookAtExpiry();
  let cancel: () => void;
  const lookAgain = (): void => {
    cancel = timers.after(expiryLookMs, () => {
      lookAtExpiry();
      lookAgain();
    });
  };
  lookAgain();

  const refresh = async (next: Listeners | undefined): Promise<void> => {
    if (next !== undefined) listeners = changed(listeners, next);
    const before = known;
    known = await options.fingerprint(files());
    for (const name of listenerNames) {
      const held = kept[name];
      held.gate.setClients(listeners[name].clients);
      if (known === before) continue;
      const { certificates, problems } = await read(name);
      if (problems.length > 0 && problems.join() !== held.problems.join()) {
        log.error({ listener: name, problems }, "new certificates cannot be served: the old ones go on");
      }
      held.problems = problems;
      if (certificates === undefined || isSame(certificates, held.certificates)) continue;
      held.gate.setCertificates(certificates);
      held.certificates = certificates;
      const notAfter = new Date(certificates.notAfterMs).toISOString();
      log.info({ listener: name, notAfter }, "new certificates are served");
    }
    if (known !== before) await readPeople();
    lookAtExpiry();
  };
  let turn: Promise<unknown> = Promise.resolve();

  return {
    gates: { grpc: kept.grpc.gate, http: kept.http.gate, admin: kept.admin.gate },
    tokens: listeners.admin.tokens && {
      open: listeners.admin.open,
      personOf: (authorization) => personOf(authorization, tokens.people),
      refused(peer) {
        observer.callerRefused("admin", "token");
        const heldBack = mayTell("token");
        if (heldBack === undefined) return;
        const fields = { listener: "admin", reason: "token", peer, ...(heldBack > 0 && { notLogged: heldBack }) };
        log.warn(fields, "a request without a known token was refused");
      },
    },
    states: () =>
      listenerNames.map((name) => {
        const { certificates, problems } = kept[name];
        const ofTokens = name === "admin" ? tokens.flaws.map(({ path, message }) => `${path}: ${message}`) : [];
        return {
          listener: name,
          problems: [...problems, ...ofTokens],
          ...(certificates && { notAfterMs: certificates.notAfterMs }),
        };
      }),
    files,
    known: () => known,
    refresh(next) {
      const done = turn.then(() => refresh(next));
      turn = done.catch(() => undefined);
      return done;
    },
    close: () => cancel(),
  };
}

function isSame(a: Certificates, b: Certificates | undefined): boolean {
  return a.cert === b?.cert && a.key === b.key && a.ca === b.ca;
}

/** What of a listener cannot change while it listens: whether it serves TLS, and what it asks of callers. */
function kindOf({ tls }: ListenerSettings): string {
  return JSON.stringify([tls?.clientAuth, tls?.minVersion]);
}

/** The next settings of each listener, or those from before where only a start can change them. */
function changed(before: Listeners, next: Listeners): Listeners {
  const choose = <L extends ListenerSettings>(old: L, given: L): L => (kindOf(old) === kindOf(given) ? given : old);
  return {
    grpc: choose(before.grpc, next.grpc),
    http: choose(before.http, next.http),
    admin: choose(before.admin, next.admin),
  };
}

/** Whether `next` asks for what only a start can give: another address, plain text for TLS, other demands on callers. */
export function needsRestart(before: Listeners, next: Listeners): boolean {
  const fixed = ({ grpc, http, admin }: Listeners): string =>
    JSON.stringify([
      ...[grpc, http, admin].map((listener) => [listener.address, kindOf(listener)]),
      admin.tokens === undefined,
      admin.open,
    ]);
  return fixed(before) !== fixed(next);
}
