import { setImmediate } from "node:timers/promises";
import { defineAdapter, SeriesStore, type Host } from "weir/sdk";
import { statsdConfig, type StatsdConfig } from "./config.ts";
import { openDatagramTarget } from "./datagram-target.ts";
import { createMetricExport } from "./metric-export.ts";
import { checkTemplates } from "./naming.ts";
import { Observations } from "./observations.ts";
import { openStreamTarget } from "./stream-target.ts";
import type { Target } from "./target.ts";
import { openUdpTarget } from "./udp-target.ts";

/** A series is dropped after its time and at most this part of it more. */
const sweeps = 8;

/** Sends metrics to a statsd server, or to an agent that speaks DogStatsD. */
export default defineAdapter({
  name: "statsd",
  description: "metrics to a statsd server, or an agent that speaks DogStatsD",
  provides: ["metrics"],
  config: statsdConfig,
  async create(config, host) {
    const { rate, interval, maxSeries, expire, maxLabelLength } = config;
    const target = await openTarget(config, host);
    const send = (): void => {
      exporter.run().catch((error: unknown) => host.log.error({ err: error }, "metrics could not be sent"));
    };
    const observations = new Observations({
      rate,
      random: Math.random,
      many: send,
      dropped: () => host.count("values_lost"),
    });
    const store = new SeriesStore({
      maxSeries,
      maxLabelLength,
      prefix: "",
      linger: true,
      checkNames: (group) => checkTemplates(group, config),
      observed: (family, row, value) => observations.add(family, row, value),
      now: () => host.now(),
      log: host.log,
      count: (event, by) => host.count(event, by),
    });
    const exporter = createMetricExport({ config, store, observations, target, host, pause: () => setImmediate() });
    host.every(interval, () => exporter.run());
    if (expire !== undefined) host.every(expire / sweeps, () => store.sweep(sweeps));
    return {
      // Buckets are the server's business: the store counts what was observed, for its bounds, and the values are sent.
      metrics: ({ labels, metrics }) =>
        store.recorder({ labels, metrics: metrics.map((spec) => ({ ...spec, buckets: [] })) }),
      exported: exporter.exported,
      unexported: exporter.unexported,
      unready: () => target.unready(),
      async close() {
        await exporter.close();
        await target.close();
      },
    };
  },
});

async function openTarget(config: StatsdConfig, hub: Host): Promise<Target> {
  const { address, dialect, resolve: resolveMs, timeout: timeoutMs } = config;
  if (address.kind === "udp") return openUdpTarget({ ...address, resolveMs, hub });
  if (address.kind === "unixgram") return openDatagramTarget({ ...address, timeoutMs, hub });
  const { framing = dialect === "dogstatsd" ? "length" : "lines" } = config;
  return openStreamTarget({ ...address, framing, timeoutMs, hub });
}
