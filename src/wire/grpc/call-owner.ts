import type { Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Client } from "../client.ts";
import type { Deadlines } from "../deadlines.ts";
import type { HeldBytes } from "../held-bytes.ts";
import type { Inflater } from "../inflater.ts";
import type { PiecePool } from "../piece-pool.ts";

/** A stream that has not ended. */
export interface OpenStream {
  /** Reads no more, and lets the door answer what it has. */
  drain(): void;
}

/** What calls share: the server's outside world, its bounds, and the streams that are open. */
export interface CallOwner {
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly maxMessageBytes: number;
  /** Bounds what is held of messages that have not come whole, were not taken yet, or are not answered. */
  readonly held: HeldBytes;
  readonly messages: PiecePool;
  readonly deadlines: Deadlines;
  readonly inflater: Inflater;
  readonly streams: Set<OpenStream>;
  /** The hub is stopping. */
  readonly isDraining: boolean;
}

/** Who is at the other end of a connection. */
export interface Caller {
  /** The address, without the port: a caller that connects again is the same caller. */
  readonly peer: string;
  readonly client?: Client | undefined;
}
