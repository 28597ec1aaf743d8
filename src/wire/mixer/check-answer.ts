import type { Bag } from "../../attributes/bag.ts";
import type { DirectResponse } from "../../policy/snapshot.ts";
import type { Decision, HeaderOperation, QuotaOutcome } from "../../runtime/decision.ts";
import { writeDuration } from "../protobuf/duration.ts";
import type { Writer } from "../protobuf/writer.ts";
import { httpStatusOf } from "../status.ts";
import { writeReferences } from "./referenced-attributes.ts";

const maxInt32 = 2 ** 31 - 1;

/** HeaderOperation.Operation by what a decision calls it. */
const operations: Readonly<Record<HeaderOperation["operation"], number>> = { set: 0, remove: 1, append: 2 };

/**
 * Writes the istio.mixer.v1.CheckResponse of a decision.
 *
 * The precondition is the verdict. What became of a quota that the caller named is said with that quota: a check whose
 * quota is used up still passes its precondition.
 */
export function checkAnswer(writer: Writer, decision: Decision, bag: Bag, globalWordCount: number): Uint8Array {
  writer.reset();
  const precondition = writer.open(2);
  writeStatus(writer, 1, decision.code, decision.message);
  const kept = writeReferences(writer, 5, bag, decision.reads, globalWordCount);
  writeDuration(writer, 2, kept ? decision.validForMs : 0);
  writer.int32(3, kept ? Math.min(decision.validUses, maxInt32) : 0);
  writeDirective(writer, decision);
  writer.close(precondition);
  for (const [name, outcome] of decision.quotas) writeQuota(writer, name, outcome, bag, globalWordCount);
  return writer.finish();
}

function writeQuota(writer: Writer, name: string, outcome: QuotaOutcome, bag: Bag, globalWordCount: number): void {
  const entry = writer.open(3);
  writer.string(1, name);
  const result = writer.open(2);
  const kept = writeReferences(writer, 5, bag, outcome.reads, globalWordCount);
  writeDuration(writer, 1, kept ? outcome.validForMs : 0);
  writer.int64(2, Math.floor(outcome.granted));
  writeStatus(writer, 6, outcome.code, outcome.message);
  writer.close(result);
  writer.close(entry);
}

/** A google.rpc.Status. */
function writeStatus(writer: Writer, field: number, code: number, message: string): void {
  const status = writer.open(field);
  if (code !== 0) writer.int32(1, code);
  if (message !== "") writer.string(2, message);
  writer.close(status);
}

/** A RouteDirective, when the decision has anything for it. */
function writeDirective(writer: Writer, { code, message, http, requestHeaders, responseHeaders }: Decision): void {
  if (http === undefined && requestHeaders.length === 0 && responseHeaders.length === 0) return;
  const directive = writer.open(6);
  for (const header of requestHeaders) writeHeader(writer, 1, header);
  for (const header of responseHeaders) writeHeader(writer, 2, header);
  if (http !== undefined) {
    for (const header of directHeaders(http)) writeHeader(writer, 2, header);
    writer.uint32(3, http.status ?? httpStatusOf(code));
    writer.string(4, http.body ?? message);
  }
  writer.close(directive);
}

/** The first header of a name replaces what is there, those after it are added. */
function directHeaders({ headers }: DirectResponse): HeaderOperation[] {
  const names = new Set<string>();
  return headers.map(({ name, value }) => {
    const known = names.has(name.toLowerCase());
    names.add(name.toLowerCase());
    return { operation: known ? "append" : "set", name, value };
  });
}

function writeHeader(writer: Writer, field: number, { operation, name, value }: HeaderOperation): void {
  const header = writer.open(field);
  writer.string(1, name);
  if (value !== "") writer.string(2, value);
  if (operations[operation] !== 0) writer.uint32(3, operations[operation]);
  writer.close(header);
}
