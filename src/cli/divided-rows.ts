/** Units a second and at once. */
interface Budget {
  readonly rate: number;
  readonly burst: number;
}

/** A key that is divided among proxies, in the JSON of the admin listener. */
export interface DividedAnswer {
  readonly key?: Readonly<Record<string, string>>;
  readonly limit: string;
  readonly budget: Budget;
  readonly share: Budget;
  readonly assigned: Budget;
  readonly needed: number;
  /** How many, or each of them where one key is asked for. */
  readonly proxies:
    number | readonly { readonly client: string; readonly assigned: Budget | string; readonly needed: number }[];
}

/** Keys of a limit, and how their budgets are divided. */
export function dividedRows(divided: readonly DividedAnswer[], by: readonly string[]): string[][] {
  return [
    [...by.map((name) => name.toUpperCase()), "BUDGET", "THIS HUB", "ASSIGNED", "NEEDED", "PROXIES"],
    ...divided.map(({ key, budget, share, assigned, needed, proxies }) => [
      ...by.map((name, i) => key?.[name] ?? (i === 0 ? "(too long to be kept)" : "")),
      ...[budget, share, assigned].map(budgetText),
      rateText(needed),
      String(proxies),
    ]),
  ];
}

/** The proxies of one key, after what is divided among them. */
export function proxyRows(divided: readonly DividedAnswer[]): string[][] {
  return [
    ["PROXY", "ASSIGNED", "NEEDED"],
    ...divided.flatMap(({ share, assigned, needed, proxies }) => [
      ["(this hub)", `${budgetText(assigned)} of ${budgetText(share)}`, rateText(needed)],
      ...(typeof proxies === "number" ? [] : proxies).map((proxy) => [
        proxy.client,
        typeof proxy.assigned === "string" ? proxy.assigned : budgetText(proxy.assigned),
        rateText(proxy.needed),
      ]),
    ]),
  ];
}

function budgetText({ rate, burst }: Budget): string {
  return `${rateText(rate)}, ${Math.round(burst * 10) / 10}`;
}

/** Slow limits have small rates: three digits say enough of any. */
function rateText(rate: number): string {
  return `${rate < 100 ? Number(rate.toPrecision(3)) : Math.round(rate)}/s`;
}
