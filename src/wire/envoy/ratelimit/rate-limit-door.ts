import { Bag } from "../../../attributes/bag.ts";
import type { LimitState } from "../../../runtime/decision.ts";
import type { RateLimitDecision } from "../../../runtime/rate-limit-decision.ts";
import { WeirError } from "../../../util/weir-error.ts";
import type { Call, DoorOptions, GrpcDoor } from "../../call.ts";
import type { Client } from "../../client.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { notPermitted } from "../../permit.ts";
import { asBuffer, Reader } from "../../protobuf/reader.ts";
import { rateLimitFields } from "../../rate-limit-fields.ts";
import type { Session } from "../../session.ts";
import { Descriptor, entryWidth } from "./descriptor.ts";
import { DescriptorForms } from "./descriptor-forms.ts";
import { DescriptorTable } from "./descriptor-table.ts";
import { nearest, RateLimitAnswer } from "./rate-limit-answer.ts";
import { RateLimitRequest } from "./rate-limit-request.ts";

const name = "ratelimit";

const noFields: readonly never[] = [];

/** The most limits that header fields tell of. */
const maxTold = 16;

/** What is kept for one snapshot. */
class Filler {
  readonly rateLimit: Session["rateLimit"];
  readonly table: DescriptorTable;
  readonly bag: Bag;
  readonly forms = new DescriptorForms();

  constructor({ layout, rateLimit }: Session) {
    this.rateLimit = rateLimit;
    this.table = new DescriptorTable(layout);
    this.bag = new Bag(layout);
  }
}

/**
 * The door of Envoy's global rate limiting: `envoy.service.ratelimit.v3.RateLimitService`. Each descriptor is judged as
 * one request, by the limits that are charged at the rate limit doors.
 *
 * A refusal is an answer: OVER_LIMIT. A call fails as a whole when it asks for nothing, for too much, or for what its
 * sender may not.
 */
export function createRateLimitDoor({ open, observer }: DoorOptions): GrpcDoor {
  const request = new RateLimitRequest();
  const descriptor = new Descriptor();
  const reader = new Reader();
  const words = new WordCache();
  const answers = new RateLimitAnswer();
  /** How often the form of a descriptor was known, and not. */
  const descriptors = { hits: 0, misses: 0 };
  let filler: Filler | undefined;
  /** Shows the memory that the last message was a part of. Messages share memory, so that one view does for many. */
  let view: DataView = new DataView(new ArrayBuffer(0));

  function judge(session: Session, buffer: Buffer, call: Call): RateLimitDecision | Promise<RateLimitDecision> {
    if (filler?.rateLimit !== session.rateLimit) filler = new Filler(session);
    const { forms } = filler;
    const { ratelimit } = session.doors;
    // Hits of the request are no part of a descriptor's bytes.
    const mayBeKnown = request.hits === 0;
    const offset = buffer.byteOffset;
    const mayGiveBack = call.client !== undefined;
    const mayOverride = ratelimit.overrides === "all" || (ratelimit.overrides === "clients" && mayGiveBack);
    const judgement = session.rateLimit({
      each: ratelimit.charge === "each",
      descriptors: request.count,
      deadline: call,
      carrier: call,
    });
    if (mayBeKnown) {
      forms.begin(view, offset, request);
      if (forms.findAll(view, offset, request) && maySetAll(call.client, forms, request.count)) {
        for (let i = 0; i < request.count; i++) judgement.addAgain(forms.form(forms.place(i)));
        descriptors.hits += request.count;
        return judgement.decide();
      }
    }
    for (let i = 0; i < request.count; i++) {
      const place = mayBeKnown ? forms.find(view, offset, request, i) : -1;
      if (place >= 0 && maySet(call.client, forms, place)) {
        judgement.addAgain(forms.form(place));
        descriptors.hits++;
        continue;
      }
      descriptors.misses++;
      descriptor.read(reader.reset(buffer, request.starts[i], request.ends[i]));
      fill(filler, buffer, call.client);
      const { hits, isNegative } = descriptor;
      let { override } = descriptor;
      if (isNegative && hits !== 0 && !mayGiveBack) {
        observer.callerRefused(name, "negative_hits");
        throw new WeirError("WEIR_NOT_PERMITTED", "only clients that the listener names may give hits back");
      }
      if (override !== undefined && !mayOverride) {
        observer.dropped("limit_override", "not_permitted", 1);
        override = undefined;
      }
      judgement.add(filler.bag, { hits: hitsOf(hits, request.hits, isNegative), override });
      // Not every client may ask for another limit, or give back: that is looked at anew each time.
      const isPlain = descriptor.override === undefined && !isNegative;
      if (place >= 0 || !mayBeKnown || !isPlain || !forms.isWelcome()) continue;
      const form = judgement.form();
      if (form !== undefined) forms.keep(view, offset, request, i, form, attributesOf(filler, buffer));
    }
    return judgement.decide();
  }

  /** The attributes that the entries of the descriptor set. */
  function attributesOf({ table }: Filler, buffer: Buffer): readonly string[] {
    const names = new Set<string>();
    const { entries, entriesEnd } = descriptor;
    for (let i = 0; i < entriesEnd; i += entryWidth) {
      const target = table.find(words.text(buffer, view, entries[i]!, entries[i + 1]!))?.target;
      if (target !== undefined) names.add(target.name);
    }
    return names.size === 0 ? noFields : [...names];
  }

  /** Makes of a descriptor what is known of a request. */
  function fill({ bag, table }: Filler, buffer: Buffer, client: Client | undefined): void {
    const { entries, entriesEnd } = descriptor;
    bag.clear();
    table.begin(bag, domainOf(buffer));
    for (let i = 0; i < entriesEnd; i += entryWidth) {
      const key = words.text(buffer, view, entries[i]!, entries[i + 1]!);
      const known = table.find(key);
      if (known === undefined) continue;
      if (client !== undefined && known.target !== undefined && !client.maySet(known.target.name))
        throw notPermitted(client, name, observer, "attribute", known.target.name);
      table.put(bag, known, key, buffer.toString("utf8", entries[i + 2]!, entries[i + 3]!));
    }
  }

  function domainOf(buffer: Buffer): string {
    return words.text(buffer, view, request.domainStart, request.domainEnd);
  }

  function answer(decision: RateLimitDecision, session: Session): Uint8Array {
    const { rateLimitFields: asked } = session.doors;
    const isQuiet = decision.allowed && asked.on === "refused" && decision.degraded.length === 0;
    const fields = isQuiet ? noFields : rateLimitFields(told(decision), asked);
    return answers.write(decision, fields);
  }

  function shouldRateLimit(message: Uint8Array, call: Call): Uint8Array | Promise<Uint8Array> {
    const buffer = asBuffer(message);
    request.read(reader.reset(buffer));
    if (view.buffer !== buffer.buffer) view = new DataView(buffer.buffer);
    const { client } = call;
    if (client?.maySpeakFor(domainOf(buffer)) === false)
      throw notPermitted(client, name, observer, "domain", domainOf(buffer));
    const session = open();
    let pending = false;
    try {
      const decision = judge(session, buffer, call);
      if (!(decision instanceof Promise)) return answer(decision, session);
      pending = true;
      return decision.then((decided) => answer(decided, session)).finally(() => session.end());
    } finally {
      if (!pending) session.end();
    }
  }

  return {
    name,
    unary: new Map([["/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", shouldRateLimit]]),
    duplex: new Map(),
    caches: { words, descriptors },
  };
}

/** Hits of a descriptor, else of the request, else the rules' cost; to be given back, at least one. */
function hitsOf(own: number | undefined, common: number, isNegative: boolean): number | undefined {
  const hits = own ?? (common > 0 ? common : undefined);
  return isNegative ? -(hits ?? 1) : hits;
}

/** Whether a client may set what the descriptor in a place sets. */
function maySet(client: Client | undefined, forms: DescriptorForms, place: number): boolean {
  return client === undefined || forms.attributes(place).every((attribute) => client.maySet(attribute));
}

/** Whether a client may set what the descriptors of a request set, all of which are in places. */
function maySetAll(client: Client | undefined, forms: DescriptorForms, count: number): boolean {
  if (client === undefined) return true;
  for (let i = 0; i < count; i++) if (!maySet(client, forms, forms.place(i))) return false;
  return true;
}

/** The limits that header fields tell of: those that refuse, else all; each rule once. */
function told({ allowed, descriptors }: RateLimitDecision): readonly LimitState[] {
  const byRule = new Map<string, LimitState>();
  for (const { limits } of descriptors) {
    for (const limit of limits) {
      if (!allowed && limit.allowed) continue;
      const known = byRule.get(limit.rule);
      if (known === undefined && byRule.size === maxTold) continue;
      byRule.set(limit.rule, known === undefined ? limit : nearest([known, limit]));
    }
  }
  return [...byRule.values()];
}
