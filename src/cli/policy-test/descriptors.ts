import type { Bag, Reads } from "../../attributes/bag.ts";
import type { Decision } from "../../runtime/decision.ts";
import type { RateLimitDecision } from "../../runtime/rate-limit-decision.ts";
import type { Serving } from "../../runtime/serving.ts";
import { DescriptorTable } from "../../wire/envoy/ratelimit/descriptor-table.ts";
import { copyBag } from "./attributes.ts";
import type { StepAsked } from "./test-file.ts";

const none: readonly never[] = [];

/** The attributes of each descriptor, which are laid over those of the request as the rate limit door does. */
export function descriptorBags(bag: Bag, { descriptors }: StepAsked): readonly Bag[] {
  if (descriptors === undefined) return [bag];
  const table = new DescriptorTable(bag.layout);
  return descriptors.map(({ entries }) => {
    const own = copyBag(bag);
    table.begin(own);
    for (const [key, text] of entries) {
      const known = table.find(key);
      if (known !== undefined) table.put(own, known, key, text);
    }
    return own;
  });
}

/** Judges descriptors as the rate limit door does. */
export function judgeDescriptors(
  { snapshot, rateLimit }: Pick<Serving<unknown>, "snapshot" | "rateLimit">,
  bags: readonly Bag[],
  { descriptors }: StepAsked,
): RateLimitDecision | Promise<RateLimitDecision> {
  const judgement = rateLimit({ each: snapshot.settings.doors.ratelimit.charge === "each" });
  for (const [i, bag] of bags.entries()) judgement.add(bag, { hits: descriptors?.[i]?.hits });
  return judgement.decide();
}

/** The decision in the form that expectations are compared with. */
export function asDecision({ id, descriptors, ...decision }: RateLimitDecision, reads: Reads): Decision {
  return {
    ...decision,
    id: id.text,
    requestHeaders: none,
    responseHeaders: none,
    quotas: new Map(),
    limits: descriptors.flatMap(({ limits }) => limits),
    validForMs: 0,
    validUses: 0,
    reads,
  };
}
