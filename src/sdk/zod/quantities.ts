import { z } from "zod";
import { parseDuration, parseSize } from "../units.ts";

/** A duration of `least` to `most` milliseconds, read from text such as `250ms`, `90s` or `1h30m`. Its value is in milliseconds. */
export function duration(least: number, most = Infinity) {
  const { expected, within } = bounded("duration", durationText, least, most);
  return z.string({ error: expected }).transform((text, context) => within(parseDuration(text), text, context));
}

/** A size of `least` to `most` bytes, read from text such as `64KiB` or `1GB`, or a number of bytes. Its value is in bytes. */
export function size(least: number, most = Infinity) {
  const { expected, within } = bounded("size", sizeText, least, most);
  const written = z.union([z.string(), z.int().nonnegative()], { error: expected });
  return written.transform((given, context) =>
    within(typeof given === "number" ? given : parseSize(given), given, context),
  );
}

/** The bounds of a quantity, and how what lies outside of them is told. */
function bounded(noun: string, show: (value: number) => string, least: number, most: number) {
  const bounds = most === Infinity ? `${show(least)} or more` : `${show(least)} to ${show(most)}`;
  const message = (given: unknown): string => {
    const shown = typeof given === "string" && given.length > 64 ? `${given.slice(0, 64)}...` : given;
    return `expected a ${noun} of ${bounds}, got ${JSON.stringify(shown)}`;
  };
  return {
    /** Of what is no quantity at all. */
    expected: ({ input }: { readonly input?: unknown }) =>
      typeof input === "object" ? `expected a ${noun} of ${bounds}` : message(input),
    within(value: number | undefined, given: unknown, context: z.RefinementCtx): number {
      if (value !== undefined && value >= least && value <= most) return value;
      context.addIssue({ code: "custom", message: message(given) });
      return z.NEVER;
    },
  };
}

const durationText = inUnits({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 });
const sizeText = inUnits({ GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 });

/** Writes a quantity in the largest of its units of which it is a whole number. */
function inUnits(units: Readonly<Record<string, number>>): (value: number) => string {
  const all = Object.entries(units);
  return (value) => {
    const [unit, factor] = all.find(([, each]) => value > 0 && value % each === 0) ?? all.at(-1)!;
    return `${value / factor}${unit}`;
  };
}
