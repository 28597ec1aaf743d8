import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge } from "../../sdk/index.ts";
import type { PreparedRule } from "../prepared-rule.ts";
import type { DescriptorWish } from "./descriptor-wish.ts";

/**
 * What the limits of a snapshot want of a descriptor, where that follows from the descriptor alone: the first limit, or
 * `none` where no limit applies. Who brings the same descriptor again need not be judged anew: no attribute is read, no
 * rule looked up, no key joined. Thousands are kept, and each object of one that is touched costs a miss of the
 * processor's caches: so it is a chain of few objects.
 */
export type DescriptorForm = FormWish | "none";

/** What one limit wants of a descriptor: the charge, the same object for each request, and whose it is. */
export interface FormWish extends Charge {
  readonly rule: LimitRule;
  readonly enforced: boolean;
  /** What the limit of the next rule wants. */
  readonly next: FormWish | undefined;
}

/**
 * Whether what a limit wanted of a descriptor it will want of the same one again. It may not where a table says the
 * limit, where something is held under the decision's id, given back, or refused without a charge; nor where `unless`
 * may have excused the descriptor, which is counted.
 */
export function isLasting({ rule, unless }: PreparedRule, wish: DescriptorWish | undefined): boolean {
  if ((rule as LimitRule).table !== undefined) return false;
  if (wish === undefined) return unless === undefined;
  return wish.answer === undefined && wish.giveBack === 0 && wish.charge.hold === undefined;
}

/** The form of a descriptor for which limits have these wishes, all of them lasting. */
export function formOf(wishes: readonly DescriptorWish[]): DescriptorForm {
  return wishes.reduceRight<FormWish | undefined>((next, wish) => formWish(wish, next), undefined) ?? "none";
}

/** Not by `{ ...charge }`: see `ChargeDraft`. */
function formWish({ rule, charge }: DescriptorWish, next: FormWish | undefined): FormWish {
  const { limit, key, amount, bestEffort, atLeast, group } = charge;
  const enforced = rule.policy.mode === "enforce";
  const wish: { -readonly [K in keyof FormWish]: FormWish[K] } = {
    limit,
    key,
    amount,
    bestEffort,
    hint: -1,
    rule,
    enforced,
    next,
  };
  if (atLeast !== undefined) wish.atLeast = atLeast;
  if (group !== undefined) wish.group = group;
  return wish;
}
