import type { Charge, Grant } from "weir/sdk";
import type { Estimates } from "./estimates.ts";
import type { Leases } from "./leases.ts";
import type { Quota } from "./quota.ts";

export interface SharedQuota extends Quota {
  /** The grants of charges that need no answer of Redis; `undefined`, with nothing taken, when one of them does. */
  atHand(charges: readonly Charge[]): readonly Grant[] | undefined;
}

/**
 * Charges of every consistency, all or nothing: those that this hub can answer are taken first, then those for which
 * Redis is asked about a lease, then the exact ones, in one script. When one of them refuses or fails, the others get
 * back what they granted; never more is admitted than the limits allow, for a moment less may be.
 */
export function createSharedQuota(exact: Quota, leases: Leases, estimates: Estimates): SharedQuota {
  const takeHere = (charge: Charge): Grant | undefined => {
    if (!(charge.amount >= 0)) throw new RangeError(`expected an amount of 0 or more, got ${charge.amount}`);
    return charge.limit.consistency === "bounded" ? leases.take(charge) : estimates.take(charge);
  };

  async function putBack(charges: readonly Charge[], grants: readonly (Grant | undefined)[]): Promise<void> {
    const taken = spentOf(charges, grants);
    estimates.putBack(taken.filter(({ limit }) => limit.consistency === "best-effort"));
    await leases.putBack(taken.filter(({ limit }) => limit.consistency === "bounded"));
  }

  /** Takes what is not exact; rejects, with nothing taken, when Redis is needed and does not answer. */
  async function takeShared(charges: readonly Charge[]): Promise<readonly Grant[]> {
    const answers = await Promise.allSettled(charges.map((charge) => takeHere(charge) ?? leases.ask(charge)));
    const grants = answers.map((answer) => (answer.status === "fulfilled" ? answer.value : undefined));
    const failure = answers.find((answer) => answer.status === "rejected");
    if (failure === undefined && grants.every((grant) => grant!.allowed)) return grants as Grant[];
    await putBack(charges, grants);
    if (failure !== undefined) throw failure.reason;
    return grants.map((grant) => unspent(grant!));
  }

  /** Takes what is not exact first, then what is. */
  async function takeMixed(charges: readonly Charge[]): Promise<readonly Grant[]> {
    const shared = charges.filter(({ limit }) => limit.consistency !== undefined);
    const others = charges.filter(({ limit }) => limit.consistency === undefined);
    let grants = await takeShared(shared);
    let exactGrants: readonly Grant[] = [];
    if (others.length > 0) {
      const refused = grants.some((grant) => !grant.allowed);
      try {
        exactGrants = await exact.quota(refused ? others.map(asQuestion) : others);
      } catch (error) {
        if (!refused) await putBack(shared, grants);
        throw error;
      }
      if (!refused && exactGrants.some((grant) => !grant.allowed)) {
        await putBack(shared, grants);
        grants = grants.map(unspent);
      }
    }
    let [at, exactAt] = [0, 0];
    return charges.map(({ limit }) => (limit.consistency === undefined ? exactGrants[exactAt++]! : grants[at++]!));
  }

  return {
    atHand(charges) {
      for (const { limit } of charges) if (limit.consistency === undefined) return undefined;
      if (charges.length === 1) {
        const grant = takeHere(charges[0]!);
        return grant === undefined ? undefined : [grant];
      }
      const grants: Grant[] = [];
      let refused = false;
      for (const charge of charges) {
        const grant = takeHere(charge);
        if (grant === undefined) {
          void putBack(charges, grants);
          return undefined;
        }
        grants.push(grant);
        refused ||= !grant.allowed;
      }
      if (!refused) return grants;
      void putBack(charges, grants);
      return grants.map(unspent);
    },

    quota: (charges) =>
      charges.every(({ limit }) => limit.consistency === undefined) ? exact.quota(charges) : takeMixed(charges),

    async refund(charges) {
      const exactOnes = charges.filter(({ limit }) => limit.consistency === undefined);
      estimates.putBack(charges.filter(({ limit }) => limit.consistency === "best-effort"));
      await leases.putBack(charges.filter(({ limit }) => limit.consistency === "bounded"));
      if (exactOnes.length > 0) await exact.refund(exactOnes);
    },
  };
}

/** Asks whether a charge could be taken, and takes nothing. */
function asQuestion({ limit, key, group, amount, atLeast, bestEffort }: Charge): Charge {
  const question = { limit, key, amount: 0, atLeast: bestEffort ? 0 : Math.max(amount, atLeast ?? 0), bestEffort };
  return group === undefined ? question : { ...question, group };
}

/** What was really taken, as charges that can be given back. What was spent before it was asked for stays spent. */
function spentOf(charges: readonly Charge[], grants: readonly (Grant | undefined)[]): Charge[] {
  return charges.flatMap((charge, i) => {
    const grant = grants[i];
    const isTaken = grant !== undefined && grant.allowed && grant.granted > 0 && grant.repeated !== true;
    return isTaken && charge.spent !== true ? [{ ...charge, amount: grant.granted }] : [];
  });
}

/** A grant of a batch that was refused: nothing of it is spent. */
function unspent(grant: Grant): Grant {
  if (!grant.allowed || grant.repeated === true) return grant;
  return { ...grant, granted: 0, remaining: grant.remaining + grant.granted };
}
