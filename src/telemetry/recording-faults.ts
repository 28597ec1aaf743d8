import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";

/**
 * Tells of an adapter that fails to record metrics. It may do so for every record: the log has the first fault, the count
 * has all.
 */
export function recordingFaults(
  adapter: string,
  observer: Pick<Observer, "adapterCall">,
  log: Pick<Log, "warn">,
): (error: unknown) => void {
  let isTold = false;
  return (error) => {
    observer.adapterCall(adapter, "metrics", "fault", 0);
    if (!isTold) log.warn({ adapter, err: error }, `adapter ${adapter} failed to record metrics`);
    isTold = true;
  };
}
