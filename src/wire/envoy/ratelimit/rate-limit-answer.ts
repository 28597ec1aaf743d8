import type { LimitState } from "../../../runtime/decision.ts";
import type { RateLimitDecision } from "../../../runtime/rate-limit-decision.ts";
import { writeDuration } from "../../protobuf/duration.ts";
import { putVarint, Writer } from "../../protobuf/writer.ts";
import type { Field } from "../../rate-limit-fields.ts";
import { writeDecisionMetadata } from "../decision-metadata.ts";
import { unitsOf } from "./rate-limit-unit.ts";

/** `RateLimitResponse.Code`. */
const code = { ok: 1, overLimit: 2 } as const;

const maxUint32 = 0xffff_ffff;

/** Characters of a decision's id. */
const idLength = 32;

/** Of what is at work at once. */
const noUnit = { unit: 0, count: 1 };

/** The most limits whose messages are kept. */
const maxKept = 1024;

/** The metadata of decisions of one version of the policies that tell of no rule. */
interface Passes {
  readonly version: string;
  readonly bytes: Uint8Array;
  /** The same memory by eight bytes, and where among them the decision's id stands. */
  readonly words: Float64Array;
  readonly idAt: number;
}

/** A limit as the field of a status that names it, a `RateLimitResponse.RateLimit`. */
interface Kept {
  readonly rule: string;
  readonly amount: number;
  readonly windowMs: number;
  readonly bytes: Uint8Array;
}

/** Writes the envoy.service.ratelimit.v3.RateLimitResponse of decisions. */
export class RateLimitAnswer {
  readonly #writer = new Writer();
  readonly #limitWriter = new Writer();
  /** By the rule's id. Emptied when it is full, so what an earlier policy set had does not stay. */
  readonly #limits = new Map<string, Kept>();
  /** Those of the last answers, by the positions of their descriptors: mostly the same again. */
  readonly #last: Kept[] = [];
  #passes: Passes | undefined;

  /** `fields` are the header fields for the response to the proxy's client. */
  write(decision: RateLimitDecision, fields: readonly Field[]): Uint8Array {
    const writer = this.#writer.reset();
    const { allowed, descriptors, http } = decision;
    writer.uint32(1, allowed ? code.ok : code.overLimit);
    for (let i = 0; i < descriptors.length; i++) {
      const { allowed: within, limits } = descriptors[i]!;
      const status = writer.open(2);
      const told = within ? code.ok : code.overLimit;
      if (limits.length === 0) writer.uint32(1, told);
      else this.#writeState(told, limits.length === 1 ? limits[0]! : nearest(limits), i);
      writer.close(status);
    }
    for (const [name, value] of fields) writeHeader(writer, name, value);
    if (!allowed) {
      for (const { name, value } of http?.headers ?? []) writeHeader(writer, name, value);
      writer.string(5, http?.body ?? decision.message);
    }
    this.#writeMetadata(decision);
    return writer.take();
  }

  /** Names the decision for the proxy's log. What most decisions have in common is kept, with a place for the id. */
  #writeMetadata({ id, version, rules, observed, degraded }: RateLimitDecision): void {
    const writer = this.#writer;
    if (rules.length > 0 || observed.length > 0 || degraded.length > 0) {
      writeDecisionMetadata(writer, 6, { id: id.text, version, rules, observed }, degraded);
      return;
    }
    if (this.#passes?.version !== version) this.#passes = passesOf(version);
    const { bytes, words, idAt } = this.#passes;
    id.write(words, idAt);
    writer.append(bytes);
  }

  #writeState(told: number, state: LimitState, descriptor: number): void {
    const writer = this.#writer;
    let limit = this.#last[descriptor];
    if (limit === undefined || !isOf(limit, state)) this.#last[descriptor] = limit = this.#limitOf(state);
    const remaining = Math.min(maxUint32, Math.floor(state.remaining));
    // By hand, since nearly every status has these fields.
    const bytes = writer.room(2 + limit.bytes.length + 6);
    let { end } = writer;
    bytes[end] = 0x08;
    bytes[end + 1] = told;
    bytes.set(limit.bytes, end + 2);
    end += 2 + limit.bytes.length;
    if (remaining > 0) {
      bytes[end] = 0x18;
      end = putVarint(bytes, end + 1, remaining);
    }
    writer.end = end;
    writeDuration(writer, 4, state.resetMs);
  }

  #limitOf(state: LimitState): Kept {
    const { rule, amount, windowMs, concurrent } = state;
    const known = this.#limits.get(rule);
    if (known !== undefined && isOf(known, state)) return known;
    const { unit, count } = concurrent === true ? noUnit : unitsOf(windowMs);
    const writer = this.#limitWriter.reset();
    const limit = writer.open(2);
    if (amount > 0) writer.uint32(1, Math.min(maxUint32, amount));
    if (unit > 0) writer.uint32(2, unit);
    writer.string(3, rule);
    if (count > 1) {
      const multiplier = writer.open(4);
      writer.uint32(1, Math.min(maxUint32, count));
      writer.close(multiplier);
    }
    writer.close(limit);
    const kept = { rule, amount, windowMs, bytes: writer.finish() };
    if (this.#limits.size >= maxKept) this.#limits.clear();
    this.#limits.set(rule, kept);
    return kept;
  }
}

function isOf(kept: Kept, { rule, amount, windowMs }: LimitState): boolean {
  return kept.rule === rule && kept.amount === amount && kept.windowMs === windowMs;
}

/** The limit that a descriptor's status tells of: the first that refuses, else the one with the fewest units left. */
export function nearest(limits: readonly LimitState[]): LimitState {
  return limits.reduce((a, b) => (isNearer(b, a) ? b : a));
}

function isNearer(a: LimitState, b: LimitState): boolean {
  if (a.allowed !== b.allowed) return !a.allowed;
  return a.remaining < b.remaining;
}

/** A config.core.v3.HeaderValue. */
function writeHeader(writer: Writer, name: string, value: string): void {
  const header = writer.open(3);
  writer.string(1, name);
  writer.string(2, value);
  writer.close(header);
}

function passesOf(version: string): Passes {
  const writer = new Writer();
  const id = "0".repeat(idLength);
  writeDecisionMetadata(writer, 6, { id, version, rules: [], observed: [] });
  const message = Buffer.from(writer.finish());
  const at = message.indexOf(id);
  // Placed so that the id begins with a word.
  const start = (8 - (at % 8)) % 8;
  const words = new Float64Array(Math.ceil((start + message.length) / 8));
  const bytes = new Uint8Array(words.buffer, start, message.length);
  bytes.set(message);
  return { version, bytes, words, idAt: (start + at) / 8 };
}
