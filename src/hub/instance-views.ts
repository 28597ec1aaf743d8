import { unreadyReason } from "../console/describe.ts";
import type { AdapterView } from "../console/view.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import type { ServingInstance } from "../runtime/runtime.ts";
import type { Capability, LeaseState } from "../sdk/index.ts";
import type { AdapterState } from "../telemetry/hub-metrics/hub-metrics.ts";
import type { ExportingInstance } from "../telemetry/queues/cargo.ts";
import type { Queues } from "../telemetry/queues/queues.ts";

/** The capabilities whose calls decisions wait for. */
const decides: ReadonlySet<string> = new Set(["check", "quota"] satisfies Capability[]);

type InstanceView = AdapterView & ServingInstance;

/** The instances that serve, each with why it does not take what waits for it. */
export function instanceViews(instances: readonly ServingInstance[], queues: Queues): readonly InstanceView[] {
  return instances.map((each) => ({ ...each, undelivered: queues.problem(each.instance as ExportingInstance) }));
}

/** Which instances are ready, and which are left alone for a while. */
export function adapterStates(views: readonly InstanceView[]): readonly AdapterState[] {
  return views.map(({ entry: { name, adapter }, isLeftAlone, ...view }) => ({
    adapter: name,
    ready: unreadyReason(view) === undefined,
    ...(adapter.provides.some((capability) => decides.has(capability)) && { breakerOpen: isLeftAlone }),
  }));
}

/** What instances hold of limits that are answered from units taken ahead. */
export function leasesOf(
  instances: readonly ServingInstance[],
): readonly (LeaseState & { readonly adapter: string })[] {
  return instances.flatMap(({ entry, instance }) =>
    Array.from(instance.leases?.() ?? [], (lease) => ({ ...lease, adapter: entry.name })),
  );
}

/** How many counts of each limit its adapter holds, where it can say at once. */
export function* keysHeld(
  { checks }: Pick<Snapshot, "checks">,
  instances: readonly ServingInstance[],
): Generator<{ readonly rule: string; readonly keys: number }> {
  const byName = new Map(instances.map(({ entry, instance }) => [entry.name, instance]));
  for (const rule of checks) {
    if (rule.kind !== "limit") continue;
    const keys = byName.get(rule.via)?.usage?.held?.(rule.limit);
    if (keys !== undefined) yield { rule: rule.id, keys };
  }
}
