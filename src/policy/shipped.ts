import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { PolicyFile } from "./compile.ts";
import type { Config } from "./config/config.ts";
import type { Policy, Snapshot } from "./snapshot.ts";

/** The folder of the policies that ship with Weir, in the clone as in the package. */
const folder = new URL("../../../policies/mesh/", import.meta.url);

/** How their files are named: they are not the operator's, wherever the package lies. */
const prefix = "weir:";

/** Whether a policy ships with Weir. */
export function isShipped({ place }: Pick<Policy, "place">): boolean {
  return place.file.startsWith(prefix);
}

/** Of a set, the policies and rules that are the operator's own. */
export function ownPart({ policies, checks, reports }: Pick<Snapshot, "policies" | "checks" | "reports">): {
  readonly policies: readonly Policy[];
  readonly rules: number;
} {
  return {
    policies: policies.filter((policy) => !isShipped(policy)),
    rules: checks.length + reports.filter(({ policy }) => !isShipped(policy)).length,
  };
}

const files = {
  istio: ["istio-http-metrics.yaml", "istio-grpc-metrics.yaml", "istio-tcp-metrics.yaml"],
  "istio-mixer": [
    "istio-http-metrics.yaml",
    "istio-grpc-metrics.yaml",
    "istio-tcp-metrics.yaml",
    "istio-mixer-metrics.yaml",
  ],
  none: [],
} as const;

/**
 * The policies of the mesh's metrics that `telemetry.mesh` of weir.yaml asks for. They export through the adapter
 * `prometheus`; without one that takes metrics there are none. Rejects when the package is not whole.
 */
export async function readShipped({
  settings,
  adapters,
}: Pick<Config, "settings" | "adapters">): Promise<PolicyFile[]> {
  if (adapters.get("prometheus")?.adapter.provides.includes("metrics") !== true) return [];
  return Promise.all(
    files[settings.telemetry.mesh].map(async (name) => ({
      path: `${prefix}${name}`,
      text: await readFile(fileURLToPath(new URL(name, folder)), "utf8"),
    })),
  );
}
