import type { Log, PolicyStore, PolicyStoreHost } from "../../sdk/index.ts";
import type { PushedStore } from "../load.ts";

/** Opens the store of an adapter that was found to have one when `weir.yaml` was read. */
export function openPolicyStore(
  { entry, folder }: PushedStore,
  log: Log,
  { changed }: Pick<PolicyStoreHost, "changed"> = {},
): Promise<PolicyStore> {
  return entry.adapter.policyStore!(entry.config, { name: entry.name, folder, log, changed });
}
