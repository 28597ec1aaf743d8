import type { Host } from "weir/sdk";

/** How long a machine may have slept unnoticed, in milliseconds: its two clocks drift apart by themselves too. */
export const unnoticedMs = 20;

/**
 * Milliseconds that have passed, never fewer than have. The clock that nobody sets goes on while an operator sets the
 * other one, but stands while the machine sleeps, when leases end all the same; the other one tells of that afterwards.
 */
export function leaseClock(host: Pick<Host, "now" | "monotonic">): () => number {
  let apart = host.now() - host.monotonic();
  let slept = 0;
  return () => {
    const passed = host.monotonic();
    const ahead = host.now() - passed - apart;
    if (ahead > unnoticedMs || ahead < -unnoticedMs) {
      if (ahead > 0) slept += ahead;
      apart += ahead;
    }
    return passed + slept;
  };
}
