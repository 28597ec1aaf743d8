import type { HoldAnswer, HoldAsked } from "../../runtime/limits/holds.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { DoorOptions, Unary } from "../call.ts";
import { changeHeld, maxRuleLength, readDecisionId } from "../held.ts";
import { writeDuration } from "../protobuf/duration.ts";
import { asBuffer, Reader } from "../protobuf/reader.ts";
import { within } from "../protobuf/within.ts";
import { Writer } from "../protobuf/writer.ts";

/** The methods that change what a decision took: `Release`, `Renew`, `Refund`. */
export function holdMethods({ open }: Pick<DoorOptions, "open">): ReadonlyMap<string, Unary> {
  const method = (read: (message: Uint8Array) => HoldAsked): Unary => {
    return async (message) => answer(await changeHeld(open, read(message)));
  };
  return new Map([
    ["/weir.v1.Weir/Release", method(readRelease)],
    ["/weir.v1.Weir/Renew", method(readRenew)],
    ["/weir.v1.Weir/Refund", method(readRefund)],
  ]);
}

const tags = { id: 0x0a, ttl: 0x12, limit: 0x12, amount: 0x18 } as const;

function readRelease(message: Uint8Array): HoldAsked {
  const reader = new Reader().reset(asBuffer(message));
  let id = "";
  while (reader.more) {
    const tag = reader.tag();
    if (tag === tags.id) id = reader.string();
    else reader.skip(tag);
  }
  return { kind: "release", id: readDecisionId(id) };
}

function readRenew(message: Uint8Array): HoldAsked {
  const reader = new Reader().reset(asBuffer(message));
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

function readRefund(message: Uint8Array): HoldAsked {
  const reader = new Reader().reset(asBuffer(message));
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

function answer(limits: readonly HoldAnswer[]): Uint8Array {
  const writer = new Writer();
  for (const { rule, units, forMs } of limits) {
    const start = writer.open(1);
    writer.string(1, rule);
    writer.double(2, units);
    if (forMs !== undefined) writeDuration(writer, 3, forMs);
    writer.close(start);
  }
  return writer.finish();
}
