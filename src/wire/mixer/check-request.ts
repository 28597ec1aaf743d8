import { WeirError } from "../../util/weir-error.ts";
import type { Reader } from "../protobuf/reader.ts";
import { checkQuotaCount } from "../quota-count.ts";

/** The most bytes of a deduplication id. */
const maxDedupId = 1024;

/** The largest amount of a quota: beyond it, numbers are no longer exact. */
export const maxAmount = Number.MAX_SAFE_INTEGER;

/** A quota that a check names. The amount is as it was sent: it may be negative or above {@link maxAmount}. */
export interface QuotaWish {
  readonly amount: number | bigint;
  readonly bestEffort: boolean;
}

/** An istio.mixer.v1.CheckRequest. */
export interface CheckRequest {
  /** Holds the attributes, from `start` to `end`. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly globalWordCount: number;
  readonly dedupId: string;
  /** Left out when none is named. */
  readonly quotas?: ReadonlyMap<string, QuotaWish> | undefined;
}

/** Reads a request; the attributes are left as bytes. Throws a `WeirError`. */
export function readCheckRequest(reader: Reader): CheckRequest {
  let { buffer } = reader;
  let start = 0;
  let end = 0;
  let globalWordCount = 0;
  let dedupId = "";
  let quotas: Map<string, QuotaWish> | undefined;
  while (reader.more) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a: {
        const stop = reader.delimited();
        if (end > start) {
          // A message that comes in parts is their sum, and protobuf adds messages by joining their bytes.
          buffer = Buffer.concat([buffer.subarray(start, end), reader.buffer.subarray(reader.pos, stop)]);
          start = 0;
          end = buffer.length;
        } else {
          start = reader.pos;
          end = stop;
        }
        reader.pos = stop;
        break;
      }
      case 0x10:
        globalWordCount = reader.uint32();
        break;
      case 0x1a:
        dedupId = reader.string();
        if (dedupId.length > maxDedupId) {
          throw new WeirError("WEIR_REQUEST_MALFORMED", `deduplication_id has more than ${maxDedupId} characters`);
        }
        break;
      case 0x22:
        quotas ??= new Map();
        readQuota(reader, quotas);
        break;
      default:
        reader.skip(tag);
    }
  }
  return { buffer, start, end, globalWordCount, dedupId, quotas };
}

function readQuota(reader: Reader, quotas: Map<string, QuotaWish>): void {
  const outer = reader.end;
  const end = (reader.end = reader.delimited());
  let name = "";
  let amount: number | bigint = 0;
  let bestEffort = false;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) name = reader.string();
    else if (tag === 0x12) {
      reader.end = reader.delimited();
      while (reader.more) {
        const inner = reader.tag();
        if (inner === 0x08) amount = reader.int64();
        else if (inner === 0x10) bestEffort = reader.bool();
        else reader.skip(inner);
      }
      reader.end = end;
    } else reader.skip(tag);
  }
  reader.end = outer;
  quotas.set(name, { amount, bestEffort });
  checkQuotaCount(quotas);
}
