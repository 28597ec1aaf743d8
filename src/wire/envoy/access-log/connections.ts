import { createHash } from "node:crypto";

/** Bytes of a connection's life up to some entry. */
interface Totals {
  received: number;
  sent: number;
  readonly startMs: number;
}

/** An entry of a connection. */
export interface ConnectionEntry {
  /** Bytes of the connection's life until the entry was written. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** When the connection began, in epoch milliseconds. */
  readonly startMs: number;
}

/** What an entry adds to what was reported before of its connection. */
export interface Difference {
  readonly received: number;
  readonly sent: number;
  /** Whether nothing was reported of the connection before, so that its opening is to be told too. */
  readonly isFirst: boolean;
  /** Whether something may have been reported before that is not known here. The bytes are then 0. */
  readonly isUnknown: boolean;
}

const unknown: Difference = { received: 0, sent: 0, isFirst: false, isUnknown: true };

/** A longer id is kept as its hash. Names of proxies and UUIDs of connections are seldom as long. */
const maxId = 256;

/**
 * What was last reported of each connection that still lasts, so that an entry adds no more than what is new. Of fixed
 * size: of too many, the one that was not heard of for longest is forgotten.
 */
export class Connections {
  readonly #totals = new Map<string, Totals>();
  readonly #max: number;
  /** Connections that began before this may have been reported on without being remembered, in epoch milliseconds. */
  #knownSinceMs: number;

  /** `nowMs`: when the hub began to take entries. `max`: how many connections are remembered. */
  constructor(nowMs: number, max = 65_536) {
    this.#knownSinceMs = nowMs;
    this.#max = max;
  }

  get size(): number {
    return this.#totals.size;
  }

  /**
   * What an entry adds. One of a connection that is not remembered is its first; unless `mayLack` says that others may
   * have come before and the connection is older than this table, or than one that had to be forgotten.
   */
  difference(id: string, entry: ConnectionEntry, mayLack: boolean): Difference {
    const totals = this.#totals.get(keyOf(id));
    const { receivedBytes, sentBytes, startMs } = entry;
    if (totals === undefined) {
      if (mayLack && startMs < this.#knownSinceMs) return unknown;
      return { received: receivedBytes, sent: sentBytes, isFirst: true, isUnknown: false };
    }
    // Entries may overtake each other.
    const received = Math.max(0, receivedBytes - totals.received);
    const sent = Math.max(0, sentBytes - totals.sent);
    return { received, sent, isFirst: false, isUnknown: false };
  }

  /** Remembers what is reported of a connection now, and that it was heard of. */
  remember(id: string, receivedBytes: number, sentBytes: number, startMs: number): void {
    const key = keyOf(id);
    const totals = this.#totals.get(key);
    if (totals !== undefined) {
      totals.received = Math.max(totals.received, receivedBytes);
      totals.sent = Math.max(totals.sent, sentBytes);
      // Heard of last: the end of the order.
      this.#totals.delete(key);
      this.#totals.set(key, totals);
      return;
    }
    if (this.#totals.size >= this.#max) {
      const [oldest, forgotten] = this.#totals.entries().next().value!;
      this.#totals.delete(oldest);
      this.#knownSinceMs = Math.max(this.#knownSinceMs, forgotten.startMs + 1);
    }
    this.#totals.set(key, { received: receivedBytes, sent: sentBytes, startMs });
  }

  /** The connection has ended. */
  forget(id: string): void {
    this.#totals.delete(keyOf(id));
  }
}

/** The end of an id is what tells connections apart, so none of it is cut. */
function keyOf(id: string): string {
  return id.length <= maxId ? id : createHash("sha256").update(id).digest("base64url");
}
