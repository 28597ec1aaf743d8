import type { Host } from "weir/sdk";

/** How far the two clocks of a machine drift apart by themselves, in milliseconds: a sleep that is shorter goes unnoticed. */
const driftMs = 20;

/** By how much, in milliseconds, the time that a lease clock tells may be behind. */
export const unnoticedMs = driftMs + 1;

/**
 * Milliseconds that have passed, never fewer than have. The clock that nobody sets goes on while an operator sets the
 * other one, but stands while the machine sleeps, when leases end all the same; the other one tells of that afterwards.
 * That one tells whole milliseconds: while it says the same, neither is asked again.
 */
export function leaseClock(host: Pick<Host, "now" | "monotonic">): () => number {
  let apart = host.now() - host.monotonic();
  let slept = 0;
  let told = NaN;
  let time = 0;
  return () => {
    const now = host.now();
    if (now === told) return time;
    told = now;
    const passed = host.monotonic();
    const ahead = now - passed - apart;
    if (ahead > driftMs || ahead < -driftMs) {
      if (ahead > 0) slept += ahead;
      apart += ahead;
    }
    return (time = passed + slept);
  };
}
