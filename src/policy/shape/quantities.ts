import { Duration } from "../../attributes/duration.ts";
import { formatSize, parseSize } from "./size.ts";
import { number, parsedText } from "./scalars.ts";
import type { Located, Shape } from "./shape.ts";

/** A duration such as `30s`, `1m30s` or `250ms`, in milliseconds. */
export function durationMs(minMs: number, maxMs: number): Shape<Located<number>> {
  const expected = "a duration such as 30s, 5m or 250ms";
  return parsedText({
    expected,
    parse(text) {
      const duration = Duration.parse(text);
      if (duration === undefined)
        return /^\d+$/.test(text)
          ? { problem: `expected ${expected}, got ${text}`, hint: `with a unit: ${text}s` }
          : undefined;
      const { ms } = duration;
      if (ms >= minMs && ms <= maxMs) return { value: ms };
      const bounds = `from ${Duration.fromMs(minMs)} to ${Duration.fromMs(maxMs)}`;
      return { problem: `expected a duration ${bounds}, got ${text}` };
    },
    schema: { type: "string", pattern: "^([0-9.]+(ns|us|ms|s|m|h))+$|^0$" },
  });
}

/** A size such as `1MiB`, in bytes. */
export function bytes(min: number, max: number): Shape<Located<number>> {
  return parsedText({
    expected: `a size such as 1MiB or 64KiB, from ${formatSize(min)} to ${formatSize(max)}`,
    parse: (text) => parseSize(text, min, max),
    schema: { type: ["string", "integer"], pattern: "^[0-9]+ ?(B|KiB|MiB|GiB)?$" },
  });
}

/** A part of a whole: a number above 0, at most 1. */
export const part: Shape<Located<number>> = {
  expected: "a number above 0 and at most 1, such as 0.25",
  schema: { type: "number", exclusiveMinimum: 0, maximum: 1 },
  read(node, reading) {
    const read = number(part.expected).read(node, reading);
    return read === undefined || (read.value > 0 && read.value <= 1) ? read : reading.mismatch(node, part.expected);
  },
};
