import type { Share, Stake } from "weir/sdk";
import type { Store } from "./connection.ts";
import { escaped } from "./counter-key.ts";
import type { QuotaOptions } from "./quota.ts";

/** Divides budgets among the hubs that share a store. Each budget is a key of its own, and a script by itself. */
export function createShares(
  store: Store,
  { prefix, clock }: Pick<QuotaOptions, "prefix" | "clock">,
): (stakes: readonly Stake[]) => Promise<readonly Share[]> {
  const share = async ({ key, budget, member, demand, held, ttlMs }: Stake): Promise<Share> => {
    const time = clock === undefined ? "" : String(clock());
    const numbers = [budget.rate, budget.burst, demand, held.rate, held.burst, ttlMs];
    const [rate, burst, isFresh] = await store.share(`${prefix}{${escaped(key)}}}share`, [time, member, ...numbers]);
    return { rate: Number(rate), burst: Number(burst), isFresh: isFresh === 1 };
  };
  return (stakes) => Promise.all(stakes.map(share));
}
