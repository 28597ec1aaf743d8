import type { Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import type { HeldBytes } from "../held-bytes.ts";
import type { PiecePool } from "../piece-pool.ts";
import type { ReadMemory } from "../read-memory.ts";
import type { ChunkPool } from "./outbox.ts";
import type { RequestFields } from "./request-fields.ts";
import type { Stream, StreamHandler } from "./stream.ts";

/** Who answers the requests of a connection. */
export interface Requests<Head> {
  /** Reads the head of a request. What it gives may be used for every request with the same head. */
  read(fields: RequestFields): Head;
  /** A request begins. The handler is told of nothing before this returns. */
  begin(head: Head, stream: Stream): StreamHandler;
}

/** What the connections of a listener share. */
export interface ConnectionOptions {
  /** Streams that may be open at the same time. */
  readonly maxStreams: number;
  readonly pool: ChunkPool;
  /** What sockets read into, and what frames that come in parts are put together in. */
  readonly memory: ReadMemory;
  readonly pieces: PiecePool;
  /** Bounds what is held of frames that have not come whole, over all connections. */
  readonly frames: HeldBytes;
  /** Bounds what is held of answers that peers do not take, over all connections. */
  readonly unread: HeldBytes;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  readonly timers: Timers;
}
