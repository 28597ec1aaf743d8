import { z } from "zod";
import { parseDuration, parseSize } from "../units.ts";

/** A duration of `least` to `most` milliseconds, read from text such as `250ms`, `90s` or `1h30m`. Its value is in milliseconds. */
export function duration(least: number, most = Infinity) {
  return quantity("duration", parseDuration, durationText, least, most);
}

/** A size of `least` to `most` bytes, read from text such as `64KiB` or `1GB`. Its value is in bytes. */
export function size(least: number, most = Infinity) {
  return quantity("size", parseSize, sizeText, least, most);
}

function quantity(
  noun: string,
  parse: (text: string) => number | undefined,
  show: (value: number) => string,
  least: number,
  most: number,
) {
  const bounds = most === Infinity ? `${show(least)} or more` : `${show(least)} to ${show(most)}`;
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined && value >= least && value <= most) return value;
    const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text;
    context.addIssue({ code: "custom", message: `expected a ${noun} of ${bounds}, got ${JSON.stringify(shown)}` });
    return z.NEVER;
  });
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
