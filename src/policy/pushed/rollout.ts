import type { PolicyStore } from "../../sdk/index.ts";
import type { Timers } from "../../util/timers.ts";
import { createFleet, type HubSeen } from "./fleet.ts";
import { textOf, type Moved } from "./pushing.ts";

/** What became of a version on a hub that was there. `afterMs`: how long after the change it said so; `undefined`: before. */
export type HubOutcome = { readonly hub: string } & (
  | { readonly kind: "serves"; readonly afterMs: number | undefined }
  | {
      readonly kind: "refused";
      readonly afterMs: number | undefined;
      readonly serves: string;
      readonly problems: readonly string[];
    }
  /** It speaks, and has not taken the version; `reason`: what it says it lacks. */
  | { readonly kind: "waits"; readonly serves: string; readonly reason: string | undefined }
  /** It has not said anything since the change, nor for so long. */
  | { readonly kind: "silent"; readonly serves: string; readonly silentMs: number }
  /** It said that it stops. */
  | { readonly kind: "left" }
);

/** A change of what holds, and what the hubs made of it. */
export interface Rollout {
  readonly moved: Moved;
  /** By name, sorted. */
  readonly hubs: readonly HubOutcome[];
  /** Why hubs could not be heard, at all or at the end; the change was made nevertheless. */
  readonly deaf: string | undefined;
}

export interface RolloutOptions {
  /** How long after the change hubs may take to say what they did; 0: nobody listens. */
  readonly waitMs: number;
  /** Milliseconds of a clock that is never set. */
  monotonic(): number;
  readonly timers: Timers;
  /** Called when the change is made. */
  moved(moved: Moved): void;
  /** Called when a hub has said what it did, and when the wait is over for each that has not. */
  told(outcome: HubOutcome): void;
}

/**
 * Changes what holds and listens what the hubs say, from before the change until each that was there has said what it did,
 * or the time is over. A hub was there if its word was still kept: also one that hangs, or lost the store meanwhile.
 */
export async function rollOut(
  store: PolicyStore,
  move: (store: PolicyStore) => Promise<Moved>,
  options: RolloutOptions,
): Promise<Rollout> {
  const { waitMs, monotonic, timers } = options;
  let wake = (): void => {};
  const fleet = createFleet(monotonic, () => wake());
  let deaf: string | undefined;
  let stop: (() => void) | undefined;
  if (waitMs > 0) {
    // Policies must be pushed also where hubs cannot be heard.
    stop = await store.hubs(fleet.hear).catch((error: unknown) => {
      deaf = textOf(error);
      return undefined;
    });
  }
  try {
    let changeMs = 0;
    const moved = await move({
      ...store,
      replace(bytes, revision) {
        changeMs = monotonic();
        return store.replace(bytes, revision);
      },
    });
    options.moved(moved);
    if (stop === undefined) return { moved, hubs: [], deaf };

    const told = new Map<string, HubOutcome["kind"]>();
    const outcomes = (): readonly (HubOutcome | undefined)[] =>
      fleet.hubs().map((seen) => {
        const outcome = outcomeOf(seen, moved.version, changeMs);
        if (outcome !== undefined && told.get(outcome.hub) !== outcome.kind) {
          told.set(outcome.hub, outcome.kind);
          options.told(outcome);
        }
        return outcome;
      });
    const endMs = changeMs + waitMs;
    while (outcomes().includes(undefined) && monotonic() < endMs) {
      await new Promise<void>((resolve) => {
        const cancel = timers.after(endMs - monotonic(), resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
    // A word that was not heard may have been kept.
    if (outcomes().includes(undefined))
      await store.hubs(fleet.hear).then(
        (end) => end(),
        (error: unknown) => (deaf = textOf(error)),
      );
    outcomes();
    const hubs = fleet.hubs().map((seen) => {
      const outcome = outcomeOf(seen, moved.version, changeMs) ?? notYet(seen, changeMs, monotonic());
      if (!told.has(outcome.hub)) options.told(outcome);
      return outcome;
    });
    return { moved, hubs, deaf };
  } finally {
    stop?.();
  }
}

/** What a hub said of a version; `undefined`: nothing yet. */
function outcomeOf({ hub, word, changedMs }: HubSeen, version: string, changeMs: number): HubOutcome | undefined {
  const afterMs = changedMs < changeMs ? undefined : changedMs - changeMs;
  if (word === undefined) return { kind: "left", hub };
  if (word.serves === version) return { kind: "serves", hub, afterMs };
  if (word.refused?.version !== version) return undefined;
  return { kind: "refused", hub, afterMs, serves: word.serves, problems: word.refused.problems };
}

function notYet({ hub, word, saidMs }: HubSeen, changeMs: number, nowMs: number): HubOutcome {
  const { serves, lacks } = word!;
  if (saidMs >= changeMs) return { kind: "waits", hub, serves, reason: lacks };
  return { kind: "silent", hub, serves, silentMs: nowMs - saidMs };
}
