import type { Problem } from "./problem.ts";
import { ownPart } from "./shipped.ts";
import type { Snapshot } from "./snapshot.ts";
import { problemOfFile } from "./yaml/source.ts";

type Loaded = Pick<Snapshot, "policies" | "checks" | "reports" | "settings">;

/**
 * Why a reload is refused that would leave no policy where there were some: a folder that was emptied or moved away
 * would open every door. `undefined` when it is not so, or when the new `weir.yaml` allows it.
 */
export function emptied(before: Loaded, after: Loaded): Problem | undefined {
  const isEmpty = (set: Loaded): boolean => ownPart(set).policies.length === 0;
  if (!isEmpty(after) || isEmpty(before) || after.settings.allowEmpty) return undefined;
  return problemOfFile(after.settings.policies, {
    code: "WEIR_RELOAD_EMPTY",
    message: "the folder has no policies any more: every request would pass",
    hint: "if that is meant, say allowEmpty: true in weir.yaml, or start the hub again",
  });
}
