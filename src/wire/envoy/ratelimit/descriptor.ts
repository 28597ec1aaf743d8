import type { LimitOverride } from "../../../runtime/rate-limit-decision.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { unitMs } from "./rate-limit-unit.ts";
import { wrong } from "./rate-limit-request.ts";

/** The most entries of one descriptor. */
const maxEntries = 128;

/** The longest window that an override may have: about 300 years. */
const maxWindowMs = 1e13;

/** Is told the bytes of each entry of a descriptor: where its key and its value begin and end. */
export type TakeEntry = (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void;

/** An envoy.extensions.common.ratelimit.v3.RateLimitDescriptor beside its entries. One is kept and read into again. */
export class Descriptor {
  /** Its own hits; `undefined` when it says none. A number beyond 2^53 - 1 becomes that one. */
  hits: number | undefined;
  isNegative = false;
  override: LimitOverride | undefined;

  /** Reads the descriptor that fills the reader's part. Throws a `WeirError` where it is none, or asks what cannot be. */
  read(reader: Reader, take: TakeEntry): void {
    this.hits = undefined;
    this.isNegative = false;
    this.override = undefined;
    const { end } = reader;
    let entries = 0;
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          if (++entries > maxEntries) throw wrong(`a descriptor has at most ${maxEntries} entries`);
          reader.end = reader.delimited();
          readEntry(reader, take);
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
  }
}

function readEntry(reader: Reader, take: TakeEntry): void {
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
  take(keyStart, keyEnd, valueStart, valueEnd);
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
