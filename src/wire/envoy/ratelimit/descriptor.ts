import type { LimitOverride } from "../../../runtime/rate-limit-decision.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { unitMs } from "./rate-limit-unit.ts";
import { wrong } from "./rate-limit-request.ts";

/** The most entries of one descriptor. */
const maxEntries = 128;

/** The longest window that an override may have: about 300 years. */
const maxWindowMs = 1e13;

/** Numbers for each entry in {@link Descriptor.entries}. */
export const entryWidth = 4;

/** An envoy.extensions.common.ratelimit.v3.RateLimitDescriptor; its texts are left as bytes. One is kept and read into again. */
export class Descriptor {
  /** How many numbers of {@link Descriptor.entries} count. */
  entriesEnd = 0;
  /** For each entry: where its key begins and ends, and where its value begins and ends. */
  readonly entries: number[] = [];
  /** Its own hits; `undefined` when it says none. A number beyond 2^53 - 1 becomes that one. */
  hits: number | undefined;
  isNegative = false;
  override: LimitOverride | undefined;

  /** Reads the descriptor that fills the reader's part. Throws a `WeirError` where it is none, or asks what cannot be. */
  read(reader: Reader): void {
    this.hits = undefined;
    this.isNegative = false;
    this.override = undefined;
    const { end } = reader;
    const { entries } = this;
    let count = 0;
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          if (count === maxEntries * entryWidth) throw wrong(`a descriptor has at most ${maxEntries} entries`);
          reader.end = reader.delimited();
          readEntry(reader, entries, count);
          count += entryWidth;
          break;
        case 0x12:
          reader.end = reader.delimited();
          this.override = readOverride(reader);
          break;
        case 0x1a:
          reader.end = reader.delimited();
          this.hits = readWrapped(reader);
          break;
        case 0x20:
          this.isNegative = reader.bool();
          break;
        default:
          reader.skip(tag);
      }
      reader.end = end;
    }
    this.entriesEnd = count;
  }
}

function readEntry(reader: Reader, entries: number[], at: number): void {
  let keyStart = 0;
  let keyEnd = 0;
  let valueStart = 0;
  let valueEnd = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) {
      keyEnd = reader.delimited();
      keyStart = reader.pos;
      reader.pos = keyEnd;
    } else if (tag === 0x12) {
      valueEnd = reader.delimited();
      valueStart = reader.pos;
      reader.pos = valueEnd;
    } else reader.skip(tag);
  }
  entries[at] = keyStart;
  entries[at + 1] = keyEnd;
  entries[at + 2] = valueStart;
  entries[at + 3] = valueEnd;
}

function readOverride(reader: Reader): LimitOverride {
  const { end } = reader;
  let amount = 0;
  let unit = 0;
  let multiplier = 1;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) amount = reader.uint32();
    else if (tag === 0x10) unit = reader.uint32();
    else if (tag === 0x1a) {
      reader.end = reader.delimited();
      multiplier = readWrapped(reader);
      reader.end = end;
    } else reader.skip(tag);
  }
  const ms = unitMs(unit);
  if (ms === undefined) throw wrong(`a limit override needs a unit of time, got ${unit}`);
  const windowMs = ms * multiplier;
  if (!(windowMs > 0 && windowMs <= maxWindowMs))
    throw wrong(`a limit override cannot have ${multiplier} units of time`);
  return { amount, windowMs };
}

/** The number in a google.protobuf.UInt64Value or UInt32Value. */
function readWrapped(reader: Reader): number {
  let value = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x08) {
      reader.skip(tag);
      continue;
    }
    const read = reader.int64();
    // The upper half of what 64 bits without a sign can say is read as below 0.
    value = typeof read === "number" && read >= 0 ? read : Number.MAX_SAFE_INTEGER;
  }
  return value;
}
