import type { Instance } from "../sdk/index.ts";

/** Whether an instance says that it can serve, or nothing. One that fails to say so does not. */
export function saysReady(instance: Pick<Instance, "unready">): boolean {
  try {
    return instance.unready?.() === undefined;
  } catch {
    return false;
  }
}
