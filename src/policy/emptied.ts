import type { Problem } from "./problem.ts";
import type { Snapshot } from "./snapshot.ts";
import { problemOfFile } from "./yaml/source.ts";

type Loaded = Pick<Snapshot, "policies" | "settings">;

/**
 * Why a reload is refused that would leave no policy where there were some: a folder that was emptied or moved away
 * would open every door. `undefined` when it is not so, or when the new `weir.yaml` allows it.
 */
export function emptied(before: Loaded, after: Loaded): Problem | undefined {
  if (after.policies.length > 0 || before.policies.length === 0 || after.settings.allowEmpty) return undefined;
  return problemOfFile(after.settings.policies, {
    code: "WEIR_RELOAD_EMPTY",
    message: "the folder has no policies any more: every request would pass",
    hint: "if that is meant, say allowEmpty: true in weir.yaml, or start the hub again",
  });
}
