import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** How much of the heap is in use once everything is collected that nobody holds. */
export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
