import { Duplex } from "node:stream";
import { HeldBytes } from "../../../src/wire/held-bytes.ts";
import type { ConnectionOptions, Requests } from "../../../src/wire/http2/connection-options.ts";
import { Connection } from "../../../src/wire/http2/connection.ts";
import { frame, frameType, preface, settingsFrame } from "../../../src/wire/http2/frame.ts";
import { headersFrame } from "../../../src/wire/http2/header-encoder.ts";
import { ChunkPool } from "../../../src/wire/http2/outbox.ts";
import { PiecePool } from "../../../src/wire/piece-pool.ts";
import { ReadMemory } from "../../../src/wire/read-memory.ts";
import type { Timers } from "../../../src/util/timers.ts";
import { recordingLog, recordingObserver } from "../grpc/harness.ts";

/** A frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** Cuts bytes into frames; throws where they are none. */
function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) throw new Error("half a frame was sent");
    const id = bytes.readUInt32BE(at + 5);
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id, payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}

/** Timers that run when the test says so. */
export function manualTimers(): Timers & { pass(ms: number): void; nowMs: number } {
  const jobs = new Set<{ atMs: number; job: () => void }>();
  const timers = {
    nowMs: 0,
    after(ms: number, job: () => void) {
      const entry = { atMs: timers.nowMs + ms, job };
      jobs.add(entry);
      return () => void jobs.delete(entry);
    },
    pass(ms: number) {
      const endMs = timers.nowMs + ms;
      for (;;) {
        const next = [...jobs].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        jobs.delete(next);
        timers.nowMs = next.atMs;
        next.job();
      }
      timers.nowMs = endMs;
    },
  };
  return timers;
}

/** A connection on a socket of the test's own. */
export interface Wire {
  readonly connection: Connection<unknown>;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
  readonly timers: ReturnType<typeof manualTimers>;
  readonly frames: HeldBytes;
  readonly unread: HeldBytes;
  readonly socket: Duplex;
  /** Brings bytes as one read of the socket does, and waits until what they cause was written. */
  bring(...bytes: Uint8Array[]): Promise<void>;
  /** What was written since the last call. */
  written(): Frame[];
  /** How many times was written since the last call. */
  writes(): number;
}

/** Makes a connection. `takes: false` makes the socket one that takes nothing of what is written. */
export function wire<Head>(
  requests: Requests<Head>,
  { takes = true, ...options }: Partial<ConnectionOptions> & { takes?: boolean } = {},
): Wire {
  const observer = recordingObserver();
  const log = recordingLog();
  const timers = manualTimers();
  let out: Buffer[] = [];
  const socket = new Duplex({
    // What Node's sockets had for long; newer versions take four times as much.
    highWaterMark: 16 * 1024,
    read() {},
    write(chunk: Buffer, _, done) {
      // As a socket that has sent them: the memory may be written again.
      out.push(Buffer.from(chunk));
      if (takes) done();
    },
  });
  const frames = new HeldBytes(1e6, () => observer.dropped("connection", "frames_unfinished", 1));
  const unread = new HeldBytes(8e6, () => observer.dropped("connection", "answers_unread", 1));
  const connection = new Connection(socket, requests, {
    ...{ maxStreams: 100, pool: new ChunkPool(), memory: new ReadMemory(), pieces: new PiecePool() },
    ...{ frames, unread, observer, log, timers },
    monotonic: () => timers.nowMs,
    ...options,
  });
  let writes = 0;
  return {
    ...{ connection, observer, log, timers, frames, unread, socket },
    async bring(...bytes) {
      const read = Buffer.concat(bytes);
      if (!socket.destroyed) socket.push(read);
      await new Promise(setImmediate);
      // The memory of a read is written again by the next.
      read.fill(0xee);
    },
    written() {
      const all = framesOf(Buffer.concat(out));
      writes = out.length;
      out = [];
      return all;
    },
    writes: () => writes,
  };
}

export const hello = Buffer.concat([preface, settingsFrame([])]);

/** A request's HEADERS frame. */
export function request(id: number, path: string, endStream = true): Buffer {
  const fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "weir"],
    [":path", path],
    ["content-type", "application/grpc"],
  ] as const;
  const bytes = headersFrame(fields, endStream);
  bytes.writeUInt32BE(id, 5);
  return bytes;
}

export function data(id: number, payload: Uint8Array, endStream = true): Buffer {
  return frame(frameType.data, endStream ? 1 : 0, id, payload);
}
