import { setImmediate } from "node:timers/promises";
import { defineAdapter, SeriesStore, type Exposition, type MetricGroup } from "weir/sdk";
import { seriesBounds } from "weir/sdk/zod";
import { z } from "zod";
import { createListener } from "./listener.ts";
import { checkNames, seriesNames } from "./names.ts";
import { render } from "./render.ts";

/** A series is dropped after its time and at most this part of it more. */
const sweeps = 8;

/** Keeps metrics for Prometheus to scrape: on the admin listener's `/metrics`, or on a listener of its own. */
export default defineAdapter({
  name: "prometheus",
  description: "metrics for Prometheus to scrape",
  provides: ["metrics"],
  config: z.strictObject({
    ...seriesBounds,
    /** Put before each metric's name. */
    prefix: z
      .string()
      .regex(/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/, "expected letters, digits, _ and :, no digit at the start")
      .default(""),
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
  shown: ({ prefix, listen }, { name, kind }) => ({
    onAdminPage: listen === undefined,
    names: seriesNames(prefix + name, kind),
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

    /** How many of the store's samples are in a scrape that was taken. */
    let scraped = 0;

    /** Lets requests be answered between two pieces of a long scrape. */
    async function* expose({ format, taken }: Exposition): AsyncGenerator<string> {
      // What comes from now on may be in the text or not.
      const { samples } = store;
      for (const piece of render(store, format)) {
        yield piece;
        await setImmediate();
      }
      void taken?.then((isTaken) => {
        if (isTaken) scraped = Math.max(scraped, samples);
      });
    }

    const metrics = (group: MetricGroup) => store.recorder(group);
    const unexported = (): number => store.samples - scraped;
    if (listen === undefined) return { metrics, unexported, expose };
    const listener = await createListener({ address: listen, path, expose, host });
    return { metrics, unexported, unready: listener.unready, close: listener.close };
  },
});
