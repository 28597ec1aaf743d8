import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Limit } from "../../sdk/index.ts";
import type { PreparedRule } from "../prepared-rule.ts";
import type { DescriptorWish } from "./descriptor-wish.ts";

/**
 * What the limits of a snapshot want of a descriptor, where that follows from the descriptor alone: the first limit, or
 * `none` where no limit applies. Who brings the same descriptor again need not be judged anew: no attribute is read, no
 * rule looked up, no key joined. Thousands are kept, and each object of one that is touched costs a miss of the
 * processor's caches: so it is a chain of few objects.
 */
export type DescriptorForm = FormWish | "none";

/**
 * What one limit wants of a descriptor: the charge, the same object for each request, and whose it is. Adapters get it as a
 * charge: what is not one is not there for who copies or prints it.
 */
export class FormWish implements Charge {
  readonly limit: Limit;
  readonly key: string;
  readonly amount: number;
  readonly bestEffort: boolean;
  declare readonly atLeast?: number;
  declare readonly group?: string;
  hint = -1;
  readonly #rule: LimitRule;
  readonly #enforced: boolean;
  readonly #next: FormWish | undefined;

  constructor({ rule, charge }: DescriptorWish, next: FormWish | undefined) {
    const { limit, key, amount, bestEffort, atLeast, group } = charge;
    this.limit = limit;
    this.key = key;
    this.amount = amount;
    this.bestEffort = bestEffort;
    if (atLeast !== undefined) this.atLeast = atLeast;
    if (group !== undefined) this.group = group;
    this.#rule = rule;
    this.#enforced = rule.policy.mode === "enforce";
    this.#next = next;
  }

  get rule(): LimitRule {
    return this.#rule;
  }

  get enforced(): boolean {
    return this.#enforced;
  }

  /** What the limit of the next rule wants. */
  get next(): FormWish | undefined {
    return this.#next;
  }
}

/** The most limits of a descriptor that is kept: what each wants takes some 100 bytes and its key. */
export const maxWishes = 8;

/**
 * Whether what a limit wanted of a descriptor it will want of the same one again. It may not where a table says the
 * limit, where something is held under the decision's id, given back, or refused without a charge; nor where `unless`
 * may have excused the descriptor, which is counted. Nor where adapters know more of it: that is asked before this.
 */
export function isLasting({ rule, unless }: PreparedRule, wish: DescriptorWish | undefined): boolean {
  if ((rule as LimitRule).table !== undefined) return false;
  if (wish === undefined) return unless === undefined;
  return wish.answer === undefined && wish.giveBack === 0 && wish.charge.hold === undefined;
}

/** The form of a descriptor for which limits have these wishes, all of them lasting. `undefined` where there are too many to keep. */
export function formOf(wishes: readonly DescriptorWish[]): DescriptorForm | undefined {
  if (wishes.length > maxWishes) return undefined;
  return wishes.reduceRight<FormWish | undefined>((next, wish) => new FormWish(wish, next), undefined) ?? "none";
}
