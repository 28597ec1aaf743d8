import type { Adapter } from "weir/sdk";
import fluentd from "./fluentd/index.ts";
import list from "./list/index.ts";
import log from "./log/index.ts";
import memory from "./memory/index.ts";
import nats from "./nats/index.ts";
import otlp from "./otlp/index.ts";
import prometheus from "./prometheus/index.ts";
import redis from "./redis/index.ts";
import statsd from "./statsd/index.ts";
import table from "./table/index.ts";
import zipkin from "./zipkin/index.ts";

/** The adapters that come with Weir, by the name that `adapter:` in `weir.yaml` takes. */
export const builtinAdapters: ReadonlyMap<string, Adapter> = new Map(
  ([fluentd, list, log, memory, nats, otlp, prometheus, redis, statsd, table, zipkin] satisfies Adapter[]).map(
    (adapter): [string, Adapter] => [adapter.name, adapter],
  ),
);
