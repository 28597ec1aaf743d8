import type { PolicyStore } from "../../sdk/index.ts";
import { decodeCurrent } from "./current.ts";
import { hubsOf, type HubSeen } from "./fleet.ts";

/** A policy set that was pushed. */
export interface PushedVersion {
  readonly version: string;
  /** When it came to hold, in RFC 3339; `undefined` for one that only hubs know, which is not kept. */
  readonly time: string | undefined;
  /** Whether it is the one that holds. */
  readonly holds: boolean;
  /** The hubs that serve it, and those that refused it. */
  readonly servedBy: readonly string[];
  readonly refusedBy: readonly string[];
}

/** A hub that follows what is pushed. */
export interface FollowingHub {
  readonly hub: string;
  /** The version that it serves, since when by its own clock, and how long it took to, once it had heard of it. */
  readonly serves: string;
  readonly since: string | undefined;
  readonly tookMs: number | undefined;
  /** The version that it last refused, and why. */
  readonly refused: { readonly version: string; readonly problems: readonly string[] } | undefined;
  /** Why it could not have what holds. */
  readonly lacks: string | undefined;
  /** How long ago it said this. */
  readonly saidMs: number;
}

/** What a store keeps, and who follows it. */
export interface PushedVersions {
  /** The set that holds first, then those before it; and those beside them that hubs serve. */
  readonly versions: readonly PushedVersion[];
  /** By name, sorted. */
  readonly hubs: readonly FollowingHub[];
}

export async function pushedVersions(store: PolicyStore, monotonic: () => number): Promise<PushedVersions> {
  const found = await store.current();
  if (found === undefined) return { versions: [], hubs: [] };
  const { before, ...current } = decodeCurrent(found.bytes);
  const hubs = (await hubsOf(store, monotonic)).map((seen) => followingHub(seen, monotonic()));
  const kept = new Map([current, ...before].map(({ version, time }) => [version, time]));
  const others = hubs.map(({ serves }) => serves).filter((version) => !kept.has(version));
  const versions = [...kept.keys(), ...new Set(others)].map((version) => ({
    version,
    time: kept.get(version),
    holds: version === current.version,
    servedBy: hubs.filter(({ serves }) => serves === version).map(({ hub }) => hub),
    refusedBy: hubs.filter(({ refused }) => refused?.version === version).map(({ hub }) => hub),
  }));
  return { versions, hubs };
}

function followingHub({ hub, word, saidMs }: HubSeen, nowMs: number): FollowingHub {
  const { serves, since, tookMs, refused, lacks } = word!;
  return { hub, serves, since, tookMs, refused, lacks, saidMs: Math.round(nowMs - saidMs) };
}
