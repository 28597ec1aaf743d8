import { nameList } from "./name-list.ts";
import type { PeerNames } from "./peer-names.ts";
import type { ClientSettings } from "./settings.ts";

/** Who calls, as a listener that names its clients knows it. */
export interface Client {
  /** The name of `weir.yaml` that the caller's certificate matched. */
  readonly name: string;
  /** Whether it may ask the rate limit door about a domain (`ratelimit.domain`). */
  maySpeakFor(domain: string): boolean;
  /** Whether it may set an attribute, by the attribute's name without a key. */
  maySet(attribute: string): boolean;
  /** Says in the log, now and then, that a door refused what it spoke for. */
  refused(door: string, what: "attribute" | "domain", value: string): void;
}

/** Hears what clients were refused at doors. */
export type HearRefusal = (client: string, door: string, what: "attribute" | "domain", value: string) => void;

/** A client of `weir.yaml`. */
export interface NamedClient extends Client {
  mayUse(door: string): boolean;
}

/** Finds the client that a certificate is of, if any. */
export type FindClient = (names: PeerNames) => NamedClient | undefined;

/**
 * The clients of a listener. A whole name goes before a beginning with `*`, a longer beginning before a shorter one, and
 * a SPIFFE id before a DNS name, in whichever order the file has them.
 */
export function createClients(settings: readonly ClientSettings[], hear: HearRefusal = () => undefined): FindClient {
  const spiffeIds = new Map<string, NamedClient>();
  const dnsNames = new Map<string, NamedClient>();
  const beginnings: { readonly beginning: string; readonly client: NamedClient }[] = [];
  for (const each of settings) {
    const client = clientOf(each, hear);
    if (each.name.endsWith("*")) beginnings.push({ beginning: each.name.slice(0, -1), client });
    else (each.name.startsWith("spiffe://") ? spiffeIds : dnsNames).set(each.name, client);
  }
  beginnings.sort((a, b) => b.beginning.length - a.beginning.length);
  return ({ spiffe, dns }) => {
    if (spiffe !== undefined) {
      const found = spiffeIds.get(spiffe) ?? beginnings.find(({ beginning }) => spiffe.startsWith(beginning))?.client;
      if (found !== undefined) return found;
    }
    for (const name of dns) {
      const found = dnsNames.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

function clientOf({ name, doors, domains, attributes }: ClientSettings, hear: HearRefusal): NamedClient {
  const served = doors && new Set(doors);
  return {
    name,
    // Whoever may call at all may ask whether the hub is there: proxies check the health of what they use.
    mayUse: (door) => served === undefined || served.has(door) || door === "health",
    maySpeakFor: nameList(domains),
    maySet: nameList(attributes),
    refused: (door, what, value) => hear(name, door, what, value),
  };
}
