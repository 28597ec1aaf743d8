import type { Bag, Reads } from "../../attributes/bag.ts";
import type { Int64 } from "../../attributes/value.ts";
import type { Decision, HeaderOperation } from "../../runtime/decision.ts";
import type { HoldAnswer } from "../../runtime/limits/holds.ts";
import type { ErrorCode } from "../../util/error-codes.ts";
import { writeDuration } from "../protobuf/duration.ts";
import type { Writer } from "../protobuf/writer.ts";
import { referencesOf } from "../references.ts";
import { httpStatusOf, statusOf, type Status } from "../status.ts";
import type { HubDictionary } from "./dictionary.ts";
import { writeHeld } from "./hold-messages.ts";

/** A weir.v1.CheckResponse with a decision. */
export function decisionAnswer(
  writer: Writer,
  index: Int64,
  decision: Decision,
  bag: Bag,
  dictionary: HubDictionary,
): Uint8Array {
  dictionary.begin();
  writer.reset();
  if (index !== 0) writer.int64(1, index);
  const outcome = writer.open(3);
  writeDecision(writer, decision, bag, dictionary);
  writer.close(outcome);
  // The words come behind what uses them: protobuf leaves the order of fields to the writer.
  const fresh = dictionary.fresh();
  if (fresh !== undefined) {
    const start = writer.open(2);
    if (fresh.first !== 0) writer.uint32(1, fresh.first);
    for (const word of fresh.words) writer.string(2, word);
    writer.close(start);
  }
  return writer.finish();
}

/** A weir.v1.CheckResponse that says what a change of what a decision took has done. */
export function heldAnswer(writer: Writer, index: Int64, limits: readonly HoldAnswer[]): Uint8Array {
  writer.reset();
  if (index !== 0) writer.int64(1, index);
  const outcome = writer.open(5);
  writeHeld(writer, limits);
  writer.close(outcome);
  return writer.finish();
}

/** A CheckResponse (`field` 4) or ReportResponse (`field` 2) that says what failed, mostly why the message could not be read. */
export function errorAnswer(writer: Writer, index: Int64, field: 2 | 4, status: Status): Uint8Array {
  writer.reset();
  if (index !== 0) writer.int64(1, index);
  writeError(writer, field, status);
  return writer.finish();
}

/** What became of the records of one message. */
export interface Taken {
  readonly taken: number;
  readonly notTaken: number;
  readonly broken: number;
  readonly errors: readonly { readonly position: number; readonly code: ErrorCode; readonly message: string }[];
}

/** A weir.v1.ReportResponse. */
export function takenAnswer(writer: Writer, index: Int64, { taken, notTaken, broken, errors }: Taken): Uint8Array {
  writer.reset();
  if (index !== 0) writer.int64(1, index);
  if (taken > 0) writer.uint32(3, taken);
  if (notTaken > 0) writer.uint32(4, notTaken);
  if (broken > 0) writer.uint32(5, broken);
  for (const { position, code, message } of errors) {
    const start = writer.open(6);
    if (position > 0) writer.uint32(1, position);
    writeError(writer, 2, statusOf(code, message));
    writer.close(start);
  }
  return writer.finish();
}

function writeError(writer: Writer, field: number, { code, message, retry }: Status): void {
  const start = writer.open(field);
  writer.string(1, code);
  writer.string(2, message);
  if (retry) writer.bool(3, true);
  writer.close(start);
}

const verdicts = { allowed: 1, refused: 2 };

function writeDecision(writer: Writer, decision: Decision, bag: Bag, dictionary: HubDictionary): void {
  writer.uint32(1, decision.allowed ? verdicts.allowed : verdicts.refused);
  if (decision.code !== 0) writer.int32(2, decision.code);
  if (decision.message !== "") writer.string(3, decision.message);
  for (const rule of decision.rules) writer.string(4, rule);
  if (decision.http !== undefined) {
    const start = writer.open(5);
    writer.uint32(1, decision.http.status ?? httpStatusOf(decision.code));
    writer.string(2, decision.http.body ?? decision.message);
    for (const { name, value } of decision.http.headers) {
      const header = writer.open(3);
      writer.string(1, name);
      writer.string(2, value);
      writer.close(header);
    }
    writer.close(start);
  }
  for (const operation of decision.requestHeaders) writeHeader(writer, 6, operation);
  for (const operation of decision.responseHeaders) writeHeader(writer, 7, operation);
  for (const [name, quota] of decision.quotas) {
    const entry = writer.open(8);
    writer.string(1, name);
    const result = writer.open(2);
    if (quota.granted !== 0) writer.int64(1, quota.granted);
    writeDuration(writer, 2, quota.validForMs);
    if (quota.code !== 0) writer.int32(3, quota.code);
    if (quota.message !== "") writer.string(4, quota.message);
    writeReferences(writer, 5, bag, quota.reads, dictionary);
    writer.close(result);
    writer.close(entry);
  }
  for (const limit of decision.limits) {
    const start = writer.open(9);
    writer.string(1, limit.rule);
    if (limit.allowed) writer.bool(2, true);
    writer.double(3, limit.amount);
    writeDuration(writer, 4, limit.windowMs);
    writer.double(5, limit.remaining);
    writeDuration(writer, 6, limit.resetMs);
    if (limit.retryAfterMs !== undefined) writeDuration(writer, 7, limit.retryAfterMs);
    if (limit.degraded === true) writer.bool(8, true);
    writer.close(start);
  }
  writeDuration(writer, 10, decision.validForMs);
  if (decision.validUses !== 0) writer.int32(11, decision.validUses);
  writeReferences(writer, 12, bag, decision.reads, dictionary);
  writer.string(13, decision.id);
  writer.string(14, decision.version);
}

const operations = { set: 0, append: 1, remove: 2 };

function writeHeader(writer: Writer, field: number, { operation, name, value }: HeaderOperation): void {
  const start = writer.open(field);
  if (operation !== "set") writer.uint32(1, operations[operation]);
  writer.string(2, name);
  if (value !== "") writer.string(3, value);
  writer.close(start);
}

const conditions = { absent: 1, present: 2, whole: 3 };

function writeReferences(writer: Writer, field: number, bag: Bag, reads: Reads, dictionary: HubDictionary): void {
  for (const { name, key, condition } of referencesOf(bag, reads)) {
    const start = writer.open(field);
    writer.sint32(1, dictionary.index(name));
    writer.uint32(2, conditions[condition]);
    if (key !== undefined) writer.sint32(3, dictionary.index(key));
    writer.close(start);
  }
}
