import { maxAmount, parseRate, rateExpected, type Rate } from "./rate.ts";

/** The limit of one key, as a table says it. */
export interface TableRow extends Rate {
  /** For `token-bucket`. Left out: the amount. */
  readonly burst?: number | undefined;
}

/** Reads what a table says of a key: `1000/s`, or with a burst `1000/s 2000`. Answers what is wrong as a text. */
export function parseTableRow(text: string): TableRow | string {
  const [, rate = "", burst] = /^\s*(.*?)(?:\s+(\d{1,15}))?\s*$/.exec(text.slice(0, 200)) ?? [];
  const parsed = parseRate(rate);
  if (parsed === undefined) return `expected ${rateExpected}, got ${JSON.stringify(rate.slice(0, 60))}`;
  if ("problem" in parsed) return parsed.problem;
  if (burst === undefined) return parsed.value;
  if (Number(burst) >= 1 && Number(burst) <= maxAmount) return { ...parsed.value, burst: Number(burst) };
  return `expected a burst of 1 to ${maxAmount}, got ${burst}`;
}
