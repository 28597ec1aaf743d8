import type { Parsed } from "./scalars.ts";

const units: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Reads `1MiB`, `64KiB` or a number of bytes. `undefined`: no size at all. */
export function parseSize(text: string, min: number, max: number): Parsed<number> | undefined {
  const m = /^(\d{1,15}) ?(B|KiB|MiB|GiB|)$/.exec(text);
  if (m === null)
    return /^\d+ ?[kmg]b?$/i.test(text)
      ? { problem: `unknown unit in "${text}"`, hint: "units are KiB, MiB and GiB" }
      : undefined;
  const value = Number(m[1]) * units[m[2]!]!;
  if (value < min || value > max)
    return { problem: `a size from ${formatSize(min)} to ${formatSize(max)} is expected, got ${text}` };
  return { value };
}

/** `1MiB` for 1,048,576. */
export function formatSize(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"]) {
    const size = units[unit]!;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
