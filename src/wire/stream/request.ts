import type { Int64 } from "../../attributes/value.ts";
import type { HoldAsked } from "../../runtime/limits/holds.ts";
import { WeirError } from "../../util/weir-error.ts";
import { malformed, type Reader } from "../protobuf/reader.ts";
import { within } from "../protobuf/within.ts";
import { checkQuotaCount } from "../quota-count.ts";
import type { NewWords } from "./dictionary.ts";
import { readRefund, readRelease, readRenew } from "./hold-messages.ts";

/** A part of a message's bytes. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** A weir.v1.CheckRequest or ReportRequest, its attributes not yet decoded. Filled field by field, so that what was read before a mistake is known. */
export class StreamRequest {
  /** 64 bits, whatever their sign. */
  index: Int64 = 0;
  dictionary: NewWords | undefined;
  /** The attributes of a check (one at most) or the records of a report. */
  readonly attributes: Part[] = [];
  quotas: Map<string, { amount: number; bestEffort: boolean }> | undefined;
  dedupId = "";
  /** What is asked in place of a check. */
  change: HoldAsked | undefined;
  isDelta = false;
  /** What is wrong with a field, in a message whose fields can be told apart: its words are taken all the same. */
  flaw: WeirError | undefined;
}

/** Longer ids are no ids; they would be kept for the time in which a retry may come. */
const maxDedupId = 256;

const tags = {
  index: 0x08,
  dictionary: 0x12,
  attributes: 0x1a,
  quotas: 0x22,
  dedupId: 0x2a,
  release: 0x32,
  renew: 0x3a,
  refund: 0x42,
  encoding: 0x20,
} as const;

/** Reads a CheckRequest into `request`, with its {@link StreamRequest.flaw}. Throws a `WeirError` where it is none. */
export function readCheckRequest(reader: Reader, request: StreamRequest): void {
  while (reader.more) {
    const tag = reader.tag();
    const part = parts.get(tag);
    if (part !== undefined) readPart(reader, request, part);
    else if (tag === tags.dedupId) {
      request.dedupId = reader.string();
      if (request.dedupId.length > maxDedupId)
        request.flaw ??= malformed(`deduplication_id is longer than ${maxDedupId}`, reader.pos);
    } else {
      readCommon(tag, reader, request);
      if (request.attributes.length > 1) request.flaw ??= malformed("attributes come twice", reader.pos);
    }
  }
  if (request.change === undefined) return;
  if (request.attributes.length > 0 || request.quotas !== undefined || request.dedupId !== "")
    request.flaw ??= malformed("a message is a check or a change of what a decision took, not both", reader.pos);
}

function readQuotas(reader: Reader, request: StreamRequest): void {
  readQuota(reader, (request.quotas ??= new Map()));
}

function readChange(read: (reader: Reader) => HoldAsked): (reader: Reader, request: StreamRequest) => void {
  return (reader, request) => {
    if (request.change !== undefined) throw malformed("a message has one change of what a decision took", reader.pos);
    request.change = read(reader);
  };
}

/** The parts of a CheckRequest that may be wrong in themselves, by their tags. */
const parts: ReadonlyMap<number, (reader: Reader, request: StreamRequest) => void> = new Map([
  [tags.quotas, readQuotas],
  [tags.release, readChange(readRelease)],
  [tags.renew, readChange(readRenew)],
  [tags.refund, readChange(readRefund)],
]);

/** Reads one of {@link parts}. What is wrong within it leaves the fields behind it readable. */
function readPart(
  reader: Reader,
  request: StreamRequest,
  read: (reader: Reader, request: StreamRequest) => void,
): void {
  const { end } = reader;
  const stop = reader.delimited();
  reader.end = stop;
  try {
    read(reader, request);
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    request.flaw ??= error;
  }
  reader.end = end;
  reader.pos = stop;
}

/** Reads a ReportRequest into `request`, likewise. Throws a `WeirError` where it is none. */
export function readReportRequest(reader: Reader, request: StreamRequest): void {
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== tags.encoding) readCommon(tag, reader, request);
    else {
      const encoding = reader.uint32();
      if (encoding > 1) request.flaw ??= malformed(`there is no encoding ${encoding}`, reader.pos);
      request.isDelta = encoding === 1;
    }
  }
}

/** The fields that both requests have. */
function readCommon(tag: number, reader: Reader, request: StreamRequest): void {
  if (tag === tags.index) request.index = reader.int64();
  else if (tag === tags.dictionary) {
    if (request.dictionary !== undefined) throw malformed("the dictionary comes twice", reader.pos);
    request.dictionary = within(reader, readDictionary);
  } else if (tag === tags.attributes) {
    const end = reader.delimited();
    request.attributes.push({ start: reader.pos, end });
    reader.pos = end;
  } else reader.skip(tag);
}

function readDictionary(reader: Reader): NewWords {
  let first = 0;
  const words: string[] = [];
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) first = reader.uint32();
    else if (tag === 0x12) words.push(reader.string());
    else reader.skip(tag);
  }
  return { first, words };
}

/** An entry of map<string, QuotaRequest>. */
function readQuota(reader: Reader, quotas: Map<string, { amount: number; bestEffort: boolean }>): void {
  let name = "";
  let amount: Int64 = 0;
  let bestEffort = false;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) name = reader.string();
    else if (tag === 0x12) {
      within(reader, () => {
        while (reader.more) {
          const inner = reader.tag();
          if (inner === 0x08) amount = reader.int64();
          else if (inner === 0x10) bestEffort = reader.bool();
          else reader.skip(inner);
        }
      });
    } else reader.skip(tag);
  }
  if (typeof amount !== "number" || amount < 0) {
    throw new WeirError("WEIR_REQUEST_QUOTA", `the amount of quota ${name.slice(0, 60)} is ${amount}`);
  }
  quotas.set(name, { amount, bestEffort });
  checkQuotaCount(quotas);
}
