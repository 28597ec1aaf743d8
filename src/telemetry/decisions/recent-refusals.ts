import { ownText } from "../../util/own-texts.ts";
import type { DecisionRecord } from "./decision-log.ts";

/** The last refusals, for whoever asks why. */
export interface RecentRefusals {
  /** Whether a refusal at this time is kept: of a flood of them only so many a second are. */
  takes(nowMs: number): boolean;
  add(refusal: DecisionRecord): void;
  /** The latest first. */
  list(): readonly DecisionRecord[];
}

/** Refusals a second that are kept; making a record costs as much as a decision. */
const maxPerSecond = 100;

/** @param size how many are kept; 0: none */
export function createRecentRefusals(size: number): RecentRefusals {
  const ring: DecisionRecord[] = [];
  let next = 0;
  let second = -1;
  let taken = 0;
  return {
    takes(nowMs) {
      if (size === 0) return false;
      const at = Math.floor(nowMs / 1000);
      if (at !== second) [second, taken] = [at, 0];
      return taken++ < maxPerSecond;
    },
    add(refusal) {
      // Texts of it may be cut out of a whole message, which they would hold.
      ring[next] = ownText(refusal);
      next = (next + 1) % size;
    },
    list: () => [...ring.slice(next), ...ring.slice(0, next)].reverse(),
  };
}
