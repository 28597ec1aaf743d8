import { z } from "zod";
import { builtinAdapters } from "../../adapters/index.ts";
import type { Adapter, Capability } from "../../src/sdk/index.ts";

/** An adapter that can be named and configured; no test makes an instance of it. */
function fakeAdapter(
  name: string,
  provides: readonly Capability[],
  more: Partial<Pick<Adapter, "input" | "outputs" | "config" | "shown">> = {},
): Adapter {
  return {
    name,
    provides,
    config: z.strictObject({}),
    ...more,
    create: () => {
      throw new Error("no instance is made while policies are compiled");
    },
  };
}

/** Stand-ins for the adapters that come with Weir: a policy set is compiled against any. */
export const adapters: ReadonlyMap<string, Adapter> = new Map(
  [
    fakeAdapter("memory", ["quota", "holds"], {
      config: z.strictObject({ maxKeys: z.int().positive().default(1000) }),
    }),
    // It says under which names metrics are shown.
    builtinAdapters.get("prometheus")!,
    fakeAdapter("hidden", ["metrics"], {
      shown: () => {
        throw new Error("no page");
      },
    }),
    fakeAdapter("log", ["logs"]),
    fakeAdapter("traces", ["spans"]),
    fakeAdapter("list", ["check"], {
      input: { value: "any" },
      config: z.strictObject({
        entries: z.array(z.string()).default([]),
        refresh: z.object({ every: z.number().min(1) }).optional(),
      }),
    }),
    fakeAdapter("table", ["table"]),
    fakeAdapter("directory", ["attributes"], {
      input: { account: "string" },
      outputs: { team: "string", since: "timestamp" },
    }),
    fakeAdapter("geo", ["check"], { input: { ip: "ip", depth: "int64", "note?": "string" } }),
  ].map((adapter) => [adapter.name, adapter]),
);
