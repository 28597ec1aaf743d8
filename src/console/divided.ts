import { maskValue } from "./mask.ts";
import type { LimitsView } from "./view.ts";

type Listing = ReturnType<LimitsView["divided"]>[number];
type Described = Readonly<Record<string, unknown>>;

/** The most proxies of a key that are told one by one. */
const maxProxies = 1000;

/** What is divided among proxies of a limit, as JSON. `undefined` where nothing is. */
export function describeDivided(listings: readonly Listing[], by: KeyNames, most: number): Described[] | undefined {
  if (listings.length === 0) return undefined;
  return listings.slice(0, most).map((listing) => ({
    key: shownParts(by, listing.parts),
    ...described(listing),
    proxies: listing.proxies.length,
  }));
}

/** The same of one key, with each proxy's part. */
export function describeDividedKey(listings: readonly Listing[]): Described[] | undefined {
  if (listings.length === 0) return undefined;
  return listings.map((listing) => ({
    ...described(listing),
    proxies: [...listing.proxies]
      .sort((a, b) => b.needed - a.needed)
      .slice(0, maxProxies)
      .map(({ client, assigned, needed }) => ({
        client,
        assigned: assigned ?? "nothing yet",
        needed: rounded(needed),
      })),
  }));
}

/** What the parts of a key are called, and what they are of: some are secrets. */
export type KeyNames = readonly { readonly name: string; readonly value: { readonly source: string } }[];

/** A key as it may be shown. */
export function shownParts(by: KeyNames, parts: Listing["parts"]): Described | undefined {
  if (parts === undefined) return undefined;
  return Object.fromEntries(
    by.map(({ name, value }, i) => {
      const part = parts[i]!;
      return [name, typeof part === "string" ? `(${part})` : maskValue(part.text, [name, value.source])];
    }),
  );
}

function described({ text, budget, share, assigned, needed }: Listing): Described {
  return {
    limit: text,
    budget: shown(budget),
    share: shown(share),
    assigned: shown(assigned),
    needed: rounded(needed),
  };
}

function shown({ rate, burst }: Listing["budget"]): Described {
  return { rate: rounded(rate), burst: rounded(burst) };
}

/** Shares are divided and added up. */
function rounded(units: number): number {
  return Number(units.toPrecision(6));
}
