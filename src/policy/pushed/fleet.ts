import type { HubSaid, PolicyStore } from "../../sdk/index.ts";
import { decodeWord, type HubWord } from "./hub-word.ts";

/** The most hubs that are kept track of. */
const maxHubs = 10_000;

/** The most that is kept of what hubs tell of why they refused, of all together in characters. Beyond, they have refused without a reason. */
const maxReasons = 8 * 1024 * 1024;

/** What is known of a hub. Times are milliseconds of a clock that is never set, of whoever listens. */
export interface HubSeen {
  readonly hub: string;
  /** What it said last; `undefined`: that it goes. */
  readonly word: HubWord | undefined;
  /** When it said that. */
  readonly saidMs: number;
  /** When it was first heard to serve and refuse what it says now. */
  readonly changedMs: number;
}

/** The hubs of a store, as far as they are heard. */
export interface Fleet {
  /** By name, sorted. */
  hubs(): readonly HubSeen[];
  /** Takes what a hub said. What is no word of that hub is left out. */
  hear(said: HubSaid): void;
}

/** @param onWord called when a hub has spoken */
export function createFleet(monotonic: () => number, onWord: () => void = () => {}): Fleet {
  const seen = new Map<string, HubSeen>();
  let reasons = 0;
  return {
    hubs: () => [...seen.values()].sort((a, b) => (a.hub < b.hub ? -1 : 1)),
    hear({ hub, bytes, agoMs }) {
      let word = bytes && decodeWord(bytes, hub);
      const before = seen.get(hub);
      // Who was never heard need not say that it goes; neither may strangers fill the memory.
      if (before === undefined ? word === undefined || seen.size >= maxHubs : bytes !== undefined && word === undefined)
        return;
      reasons -= reasonsOf(before?.word);
      if (reasons + reasonsOf(word) > maxReasons)
        word = { ...word!, refused: { version: word!.refused!.version, problems: [] } };
      reasons += reasonsOf(word);
      const saidMs = monotonic() - agoMs;
      const isSame = stateOf(word) === stateOf(before?.word);
      seen.set(hub, { hub, word, saidMs, changedMs: isSame ? before!.changedMs : saidMs });
      onWord();
    },
  };
}

function reasonsOf(word: HubWord | undefined): number {
  return word?.refused?.problems.reduce((sum, { length }) => sum + length, 0) ?? 0;
}

function stateOf(word: HubWord | undefined): string | undefined {
  return word && `${word.serves} ${word.refused?.version}`;
}

/** The hubs of a store, by what they said until now. */
export async function hubsOf(store: PolicyStore, monotonic: () => number): Promise<readonly HubSeen[]> {
  const fleet = createFleet(monotonic);
  (await store.hubs(fleet.hear))();
  return fleet.hubs().filter(({ word }) => word !== undefined);
}
