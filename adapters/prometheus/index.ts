import { setImmediate } from "node:timers/promises";
import { defineAdapter, parseDuration, SeriesStore, type Exposition, type MetricGroup } from "weir/sdk";
import { z } from "zod";
import { createListener } from "./listener.ts";
import { checkNames } from "./names.ts";
import { render } from "./render.ts";

/** A series is dropped after its time and at most this part of it more. */
const sweeps = 8;

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  context.addIssue({ code: "custom", message: "expected a duration of 1s or more, such as 90s, 15m or 1h" });
  return z.NEVER;
});

/** Keeps metrics for Prometheus to scrape: on the admin listener's `/metrics`, or on a listener of its own. */
export default defineAdapter({
  name: "prometheus",
  description: "metrics for Prometheus to scrape",
  provides: ["metrics"],
  config: z.strictObject({
    /** The most series of one metric; samples of label sets beyond go to one series for overflow. */
    maxSeries: z.int().min(1).max(10_000_000).default(10_000),
    /** After how long without a sample a series is dropped; `never` keeps all. */
    expire: z.union([z.literal("never").transform(() => undefined), duration]).prefault("1h"),
    /** Put before each metric's name. */
    prefix: z
      .string()
      .regex(/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/, "expected letters, digits, _ and :, no digit at the start")
      .default(""),
    /** The longest label value, in UTF-16 units; what is longer is cut. */
    maxLabelLength: z.int().min(16).max(65_536).default(256),
    /** An address of its own, `HOST:PORT`, in place of the admin listener's. */
    listen: z
      .string()
      .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s[\]]*):\d{1,5}$/, "expected HOST:PORT")
      .optional(),
    /** Where that listener shows the metrics. */
    path: z
      .string()
      .max(1024)
      .regex(/^\/[A-Za-z0-9._~/-]*$/, "expected a path that begins with /, of letters, digits, ., _, ~, - and /")
      .default("/metrics"),
  }),
  async create({ maxSeries, expire, prefix, maxLabelLength, listen, path }, host) {
    const store = new SeriesStore({
      maxSeries,
      prefix,
      maxLabelLength,
      checkNames,
      now: () => host.now(),
      log: host.log,
      count: (event, by) => host.count(event, by),
    });
    if (expire !== undefined) host.every(expire / sweeps, () => store.sweep(sweeps));

    /** Lets requests be answered between two pieces of a long scrape. */
    async function* expose({ format }: Exposition): AsyncGenerator<string> {
      for (const piece of render(store, format)) {
        yield piece;
        await setImmediate();
      }
    }

    const metrics = (group: MetricGroup) => store.recorder(group);
    if (listen === undefined) return { metrics, expose };
    const listener = await createListener({ address: listen, path, expose, host });
    return { metrics, unready: listener.unready, close: listener.close };
  },
});
