import type { HoldChange, HoldOutcome } from "weir/sdk";
import type { Store } from "./connection.ts";
import { listedOf, listOf, type Listed } from "./hold-list.ts";
import { limitArgs, type QuotaOptions } from "./quota.ts";

/** Changes what was taken with a `hold`, by this hub or another: each change asks for the list of its decision, then changes what that names. */
export type Holds = (changes: readonly HoldChange[]) => Promise<readonly (readonly HoldOutcome[])[]>;

export function createHolds(store: Store, { prefix, now, clock }: QuotaOptions): Holds {
  const time = (): string => (clock === undefined ? "" : String(clock()));

  async function change(wanted: HoldChange): Promise<readonly HoldOutcome[]> {
    const key = listOf(prefix, wanted.id);
    const records = new Map<string, Listed>();
    for (const entry of await store.listed(key)) {
      const listed = listedOf(entry);
      if (listed !== undefined) records.set(listed.record, listed);
    }
    const outcomes = await Promise.all(
      [...records.values()].map(async ({ limit, counter, record }): Promise<HoldOutcome | undefined> => {
        const number = numberOf(wanted, limit);
        if (number === undefined) return undefined;
        const args = [time(), ...limitArgs(limit, now), wanted.id, wanted.kind, number];
        const answer = await store.change([record, counter], args);
        if (answer === null) return undefined;
        const units = Number(answer[0]);
        return answer[1] === undefined
          ? { limit: limit.id, units }
          : { limit: limit.id, units, forMs: Number(answer[1]) };
      }),
    );
    const found = outcomes.filter((outcome) => outcome !== undefined);
    const lasting = Math.max(0, ...found.map(({ forMs = 0 }) => forMs));
    if (lasting > 0) await store.prolong(key, Math.ceil(lasting) + 1000);
    return found;
  }

  return (changes) => Promise.all(changes.map(change));
}

/** The number that a change has for a charge of a limit, "" where it has none; `undefined` where it does not concern it. */
function numberOf(wanted: HoldChange, { id, algorithm, windowMs }: Listed["limit"]): number | "" | undefined {
  const isLease = algorithm === "concurrency";
  switch (wanted.kind) {
    case "release":
      return isLease ? "" : undefined;
    case "renew":
      return isLease ? Math.min(wanted.forMs ?? windowMs, windowMs) : undefined;
    case "refund":
      return isLease || wanted.limits?.includes(id) === false ? undefined : (wanted.amount ?? "");
    case "end":
      return isLease ? "" : wanted.used.get(id);
  }
}
