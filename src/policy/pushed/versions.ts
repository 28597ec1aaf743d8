import type { PolicyStore } from "../../sdk/index.ts";
import { decodeCurrent } from "./current.ts";
import { hubWords } from "./pushing.ts";

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

/** The sets that a store keeps, the one that holds first, then those before it; and those beside them that hubs serve. */
export async function pushedVersions(store: PolicyStore): Promise<readonly PushedVersion[]> {
  const found = await store.current();
  if (found === undefined) return [];
  const { before, ...current } = decodeCurrent(found.bytes);
  const words = await hubWords(store);
  const kept = new Map([current, ...before].map(({ version, time }) => [version, time]));
  const others = words.map(({ serves }) => serves).filter((version) => !kept.has(version));
  return [...kept.keys(), ...new Set(others)].map((version) => ({
    version,
    time: kept.get(version),
    holds: version === current.version,
    servedBy: words.filter(({ serves }) => serves === version).map(({ hub }) => hub),
    refusedBy: words.filter(({ refused }) => refused?.version === version).map(({ hub }) => hub),
  }));
}
