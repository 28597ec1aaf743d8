import type { Timers } from "./timers.ts";

/** Said of a promise that took too long. */
export const late = Symbol("late");

/** What a promise gives, or {@link late} when it takes longer. */
export async function within<T>(promise: Promise<T>, ms: number, timers: Timers): Promise<T | typeof late> {
  let cancel: (() => void) | undefined;
  const timeout = new Promise<typeof late>((resolve) => {
    cancel = timers.after(ms, () => resolve(late));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    cancel?.();
  }
}
