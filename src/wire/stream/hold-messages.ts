import type { HoldAnswer, HoldAsked } from "../../runtime/limits/holds.ts";
import { WeirError } from "../../util/weir-error.ts";
import { maxRuleLength, readDecisionId } from "../held.ts";
import { writeDuration } from "../protobuf/duration.ts";
import type { Reader } from "../protobuf/reader.ts";
import { within } from "../protobuf/within.ts";
import type { Writer } from "../protobuf/writer.ts";

const tags = { id: 0x0a, ttl: 0x12, limit: 0x12, amount: 0x18 } as const;

/** Reads a weir.v1.ReleaseRequest. This and the next two throw WEIR_REQUEST_MALFORMED for what is none. */
export function readRelease(reader: Reader): HoldAsked {
  let id = "";
  while (reader.more) {
    const tag = reader.tag();
    if (tag === tags.id) id = reader.string();
    else reader.skip(tag);
  }
  return { kind: "release", id: readDecisionId(id) };
}

/** Reads a weir.v1.RenewRequest. */
export function readRenew(reader: Reader): HoldAsked {
  let id = "";
  let forMs: number | undefined;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === tags.id) id = reader.string();
    else if (tag === tags.ttl) forMs = within(reader, readMs);
    else reader.skip(tag);
  }
  if (forMs === undefined) return { kind: "renew", id: readDecisionId(id) };
  if (!(forMs > 0)) throw new WeirError("WEIR_REQUEST_MALFORMED", "ttl is a duration above 0");
  return { kind: "renew", id: readDecisionId(id), forMs };
}

/** Reads a weir.v1.RefundRequest. */
export function readRefund(reader: Reader): HoldAsked {
  let id = "";
  let rule = "";
  let amount = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === tags.id) id = reader.string();
    else if (tag === tags.limit) rule = reader.string();
    else if (tag === tags.amount) amount = Number(reader.int64());
    else reader.skip(tag);
  }
  if (rule.length > maxRuleLength)
    throw new WeirError("WEIR_REQUEST_MALFORMED", "limit is the name of a rule: policy/rule");
  if (!(amount >= 0)) throw new WeirError("WEIR_REQUEST_MALFORMED", "amount is 0 or more");
  return {
    kind: "refund",
    id: readDecisionId(id),
    ...(rule === "" ? {} : { rule }),
    ...(amount === 0 ? {} : { amount }),
  };
}

/** A google.protobuf.Duration in milliseconds. */
function readMs(reader: Reader): number {
  let ms = 0;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) ms += Number(reader.int64()) * 1000;
    else if (tag === 0x10) ms += Number(reader.int64()) / 1e6;
    else reader.skip(tag);
  }
  return ms;
}

/** Writes the fields of a weir.v1.HoldResponse. */
export function writeHeld(writer: Writer, limits: readonly HoldAnswer[]): void {
  for (const { rule, units, forMs } of limits) {
    const start = writer.open(1);
    writer.string(1, rule);
    writer.double(2, units);
    if (forMs !== undefined) writeDuration(writer, 3, forMs);
    writer.close(start);
  }
}
