import { UnderWay } from "./under-way.ts";

/** Bytes of a connection's life up to some entry. */
interface Totals {
  readonly received: number;
  readonly sent: number;
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
const nothing: Difference = { received: 0, sent: 0, isFirst: false, isUnknown: false };

/** What was last reported of each connection that still lasts, so that an entry adds no more than what is new. */
export class Connections {
  readonly #underWay: UnderWay<Totals>;

  /** `nowMs`: when the hub began to take entries. `max`: how many connections are remembered. */
  constructor(nowMs: number, max?: number) {
    this.#underWay = new UnderWay(nowMs, max);
  }

  get size(): number {
    return this.#underWay.size;
  }

  /** Whether the connection is over, and this entry came late. */
  hasEnded(id: string): boolean {
    return this.#underWay.hasEnded(id);
  }

  /**
   * What an entry adds. One of a connection that is not remembered is its first; unless others may have come before:
   * those of a log may where it tells of connections that last, and began to come `sinceMs`. Left out: none may.
   */
  difference(id: string, entry: ConnectionEntry, sinceMs: number | undefined): Difference {
    const totals = this.#underWay.get(id);
    const { receivedBytes, sentBytes, startMs } = entry;
    if (totals === undefined) {
      if (this.#underWay.hasEnded(id)) return nothing;
      if (sinceMs !== undefined && (startMs < sinceMs || this.#underWay.mayLack(startMs))) return unknown;
      return { received: receivedBytes, sent: sentBytes, isFirst: true, isUnknown: false };
    }
    // Entries may overtake each other.
    const received = Math.max(0, receivedBytes - totals.received);
    const sent = Math.max(0, sentBytes - totals.sent);
    return { received, sent, isFirst: false, isUnknown: false };
  }

  /** Remembers what is reported of a connection now, and that it was heard of. */
  remember(id: string, receivedBytes: number, sentBytes: number, startMs: number): void {
    const { received = 0, sent = 0 } = this.#underWay.get(id) ?? {};
    const totals = { received: Math.max(received, receivedBytes), sent: Math.max(sent, sentBytes) };
    this.#underWay.put(id, totals, startMs);
  }

  /** The connection has ended. */
  end(id: string): void {
    this.#underWay.end(id);
  }
}
