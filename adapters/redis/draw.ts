import type { Limit } from "weir/sdk";
import type { Store } from "./connection.ts";
import { escaped } from "./counter-key.ts";
import { limitArgs } from "./quota.ts";

/** A message to Redis about one count: a charge to judge, and what becomes of this hub's lease on it. */
export interface Draw {
  /** Units wanted at once, and those that must be there. */
  readonly amount: number;
  readonly needed: number;
  /** Whether all must be granted or nothing, some will do, or nothing is refused. */
  readonly how: "all" | "some" | "always";
  /** Names the charge, so that one that is sent again takes nothing. */
  readonly dedupId?: string;
  /** Units that earlier draws granted and nobody used. */
  readonly back: number;
  /** Names the lease; 0 for none. */
  readonly lease: number;
  /** Units of the lease that were used and returned since it began, and the used ones that an answer has confirmed. */
  readonly used: number;
  readonly usedKnown: number;
  readonly returned: number;
  /** Units wanted for the lease: whole. */
  readonly share: number;
  /** How long the lease is to last from now on, in milliseconds. */
  readonly lastsMs: number;
}

/** What Redis says to a {@link Draw}. */
export interface Drawn {
  readonly allowed: boolean;
  readonly granted: number;
  /** Units that are neither counted nor leased; below 0 only where nothing is refused. */
  readonly free: number;
  /** Milliseconds until the full amount is there, if all that is leased is used now. */
  readonly resetMs: number;
  /** Milliseconds until a retry makes sense; -1: never, or there is no need. */
  readonly waitMs: number;
  /** Units of the lease since it began. */
  readonly leased: number;
  /** How long the lease is good, from when Redis answered. */
  readonly goodMs: number;
  /** Units that other hubs hold. */
  readonly others: number;
  /** Units that people have granted beyond the limit, at present. */
  readonly extra: number;
}

/** Sends one message; rejects when there is no answer in time. */
export type DrawOn = (limit: Limit, key: string, draw: Draw) => Promise<Drawn>;

const hows: Readonly<Record<Draw["how"], number>> = { all: 0, some: 1, always: 2 };

/** A message that asks where a count stands and changes nothing. */
export const question: Draw = {
  ...{ amount: 0, needed: 0, how: "all", back: 0 },
  ...{ lease: 0, used: 0, usedKnown: 0, returned: 0, share: 0, lastsMs: 0 },
};

/** What the Redis key of a count ends with whose units hubs take ahead. No deduplication id can look like it. */
export const leasesSuffix = "%leases";

export interface DrawOptions {
  readonly prefix: string;
  /** The hub's time, milliseconds since 1970, for the windows of a calendar. */
  readonly now: () => number;
  /** The time in milliseconds, in place of Redis's own clock. For tests. */
  readonly clock?: (() => number) | undefined;
}

/** Draws on counts in Redis. They lie beside the exact ones, on keys of their own. */
export function createDraw(store: Pick<Store, "draw">, { prefix, now, clock }: DrawOptions): DrawOn {
  return async (limit, key, draw) => {
    const counter = `${prefix}{${escaped(key)}}`;
    const answer = await store.draw(
      [counter + leasesSuffix, ...(draw.dedupId === undefined ? [] : [counter + escaped(draw.dedupId)])],
      [
        clock === undefined ? "" : String(clock()),
        ...limitArgs(limit, now),
        ...[draw.amount, draw.needed, hows[draw.how], draw.back],
        ...[draw.lease, draw.used, draw.usedKnown, draw.returned, draw.share, draw.lastsMs],
      ],
    );
    const [outcome, granted, free, resetMs, waitMs, leased, goodMs, others, extra] = answer.map(Number) as number[];
    return {
      allowed: outcome === 1,
      granted: granted!,
      free: free!,
      resetMs: resetMs!,
      waitMs: waitMs!,
      leased: leased!,
      goodMs: goodMs!,
      others: others!,
      extra: extra!,
    };
  };
}
