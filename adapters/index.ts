import type { Adapter } from "weir/sdk";
import list from "./list/index.ts";
import memory from "./memory/index.ts";

/** The adapters that come with Weir, by the name that `adapter:` in `weir.yaml` takes. */
export const builtinAdapters: ReadonlyMap<string, Adapter> = new Map(
  ([list, memory] satisfies Adapter[]).map((adapter): [string, Adapter] => [adapter.name, adapter]),
);
