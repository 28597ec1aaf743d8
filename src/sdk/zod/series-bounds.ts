import { z } from "zod";
import { duration } from "./quantities.ts";

/** Keys of adapters that keep series in a `SeriesStore`. */
export const seriesBounds = {
  /** The most series of one metric; samples of label sets beyond go to one series for overflow. */
  maxSeries: z.int().min(1).max(10_000_000).default(10_000),
  /** After how long without a sample a series is dropped, in milliseconds; `never` keeps all and is `undefined`. */
  expire: z
    .union([z.literal("never").transform(() => undefined), duration(1000, 30 * 86_400_000)], {
      error: "expected never, or a duration of 1s to 30d",
    })
    .prefault("1h"),
  /** The longest label value, in UTF-16 units; what is longer is cut. */
  maxLabelLength: z.int().min(16).max(65_536).default(256),
};
