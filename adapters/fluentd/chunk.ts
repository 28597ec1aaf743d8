import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Encoder, ExtData } from "@msgpack/msgpack";
import type { LogEntry } from "weir/sdk";

const compress = promisify(gzip);

/** The bytes of entries, before compression, beyond which no more are sent before an acknowledgement. */
const maxBytes = 1024 * 1024;

/** Below, compression costs more than it saves. */
const minCompressed = 1024;

/** The type of EventTime among MessagePack's extensions (Forward protocol v1, "EventTime Ext Format"). */
const eventTimeType = 0;

/** Entries of one tag that are acknowledged together. */
export interface Chunk {
  readonly id: string;
  /** PackedForward, or CompressedPackedForward (Forward protocol v1, "Carrier Modes"). */
  readonly message: Uint8Array;
  /** The index after its last entry. */
  readonly end: number;
}

export interface ChunkOptions {
  /** `{log}` stands for the name of the log. */
  readonly tag: string;
  readonly compression: "gzip" | "none";
}

/** The chunks that are sent at once: about 1 MiB of a batch from an index on, one chunk for each run of entries of one log. */
export async function encodeChunks(
  entries: readonly LogEntry[],
  from: number,
  options: ChunkOptions,
): Promise<Chunk[]> {
  const encoder = new Encoder();
  const chunks: Promise<Chunk>[] = [];
  let bytes = 0;
  for (let at = from; at < entries.length && bytes < maxBytes;) {
    const { name } = entries[at]!;
    const packed: Uint8Array[] = [];
    for (; at < entries.length && entries[at]!.name === name && bytes < maxBytes; at++) {
      const event = encoder.encode(eventOf(entries[at]!));
      packed.push(event);
      bytes += event.length;
    }
    chunks.push(encodeChunk(packed, at, options.tag.replaceAll("{log}", name), options.compression));
  }
  return Promise.all(chunks);
}

async function encodeChunk(
  packed: readonly Uint8Array[],
  end: number,
  tag: string,
  compression: ChunkOptions["compression"],
): Promise<Chunk> {
  const id = randomBytes(16).toString("base64");
  const events = Buffer.concat(packed);
  const compressed = compression === "gzip" && events.length >= minCompressed;
  const option = { size: packed.length, chunk: id, ...(compressed && { compressed: "gzip" }) };
  return { id, end, message: new Encoder().encode([tag, compressed ? await compress(events) : events, option]) };
}

/** Time and record. A field that is named like what the hub says stands in its place. */
function eventOf({ timeMs, severity, fields, id }: LogEntry): unknown[] {
  const time = new DataView(new ArrayBuffer(8));
  const seconds = Math.floor(timeMs / 1000);
  time.setUint32(0, seconds);
  time.setUint32(4, Math.floor((timeMs - seconds * 1000) * 1e6));
  return [
    new ExtData(eventTimeType, new Uint8Array(time.buffer)),
    { severity, ...(id === undefined ? {} : { id }), ...fields },
  ];
}
