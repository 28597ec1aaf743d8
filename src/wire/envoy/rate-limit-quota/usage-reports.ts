import type { Reader } from "../../protobuf/reader.ts";
import { within } from "../../protobuf/within.ts";

/** The most entries of a bucket's id. */
const maxEntries = 128;

/** The longest id of a bucket, in bytes: it is kept as long as the bucket, and sent back with each assignment. */
const maxIdBytes = 4096;

/** The most reports of one message: a stream has fewer buckets. */
const maxReports = 5000;

/** The longest time and the most requests that a report is believed to tell of. */
const maxElapsedMs = 3_600_000;
const maxRequests = 1e12;

const nothing = new Uint8Array(0);

/** A RateLimitQuotaUsageReports.BucketQuotaUsage. */
export interface UsageReport {
  /** Keys and values, sorted by key; `undefined` for an id that is none or too large. */
  readonly entries: readonly (readonly [key: string, value: string])[] | undefined;
  /** The BucketId as it came, a part of the message's memory. */
  readonly id: Uint8Array;
  readonly elapsedMs: number;
  readonly allowed: number;
  readonly denied: number;
}

export interface UsageReports {
  /** `""` where it is not said. */
  readonly domain: string;
  readonly reports: readonly UsageReport[];
  /** How many more there were, which were not read. */
  readonly unread: number;
}

/** Reads an envoy.service.rate_limit_quota.v3.RateLimitQuotaUsageReports. Throws a `WeirError` where it is none. */
export function readUsageReports(reader: Reader): UsageReports {
  let domain = "";
  const reports: UsageReport[] = [];
  let unread = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) domain = reader.string();
    else if (tag === 0x12 && reports.length < maxReports) reports.push(within(reader, readReport));
    else {
      if (tag === 0x12) unread++;
      reader.skip(tag);
    }
  }
  return { domain, reports, unread };
}

function readReport(reader: Reader): UsageReport {
  const report = {
    entries: undefined as UsageReport["entries"],
    id: nothing as Uint8Array,
    elapsedMs: 0,
    allowed: 0,
    denied: 0,
  };
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) {
      within(reader, () => {
        const { pos, end, buffer } = reader;
        report.id = buffer.subarray(pos, end);
        report.entries = end - pos <= maxIdBytes ? readEntries(reader) : undefined;
      });
    } else if (tag === 0x12) report.elapsedMs = within(reader, readDuration);
    else if (tag === 0x18) report.allowed = readCount(reader);
    else if (tag === 0x20) report.denied = readCount(reader);
    else reader.skip(tag);
  }
  return report;
}

/** Entries of a map, whose order says nothing; of a key that comes twice the last counts, as protobuf has it. */
function readEntries(reader: Reader): UsageReport["entries"] {
  const entries = new Map<string, string>();
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    let key = "";
    let value = "";
    within(reader, () => {
      while (reader.more) {
        const tag = reader.tag();
        if (tag === 0x0a) key = reader.string();
        else if (tag === 0x12) value = reader.string();
        else reader.skip(tag);
      }
    });
    entries.set(key, value);
    if (entries.size > maxEntries) return undefined;
  }
  if (entries.size === 0) return undefined;
  return [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function readDuration(reader: Reader): number {
  let ms = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) ms += Number(reader.int64()) * 1000;
    else if (tag === 0x10) ms += reader.int32() / 1e6;
    else reader.skip(tag);
  }
  return Math.min(maxElapsedMs, Math.max(0, ms));
}

/** A uint64; the upper half of what it can say is read as below 0. */
function readCount(reader: Reader): number {
  const count = Number(reader.int64());
  return count < 0 ? maxRequests : Math.min(maxRequests, count);
}
