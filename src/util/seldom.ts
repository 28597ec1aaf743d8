/**
 * Says whether something may be told now: the first time, and then once in a while. Answers how often it was held back
 * since it was told last, or `undefined` while it is to be held back. What is told is few things with names from code.
 */
export function seldom(now: () => number, everyMs = 10_000): (what: string) => number | undefined {
  const told = new Map<string, { sinceMs: number; heldBack: number }>();
  return (what) => {
    const last = told.get(what);
    const nowMs = now();
    if (last !== undefined && nowMs - last.sinceMs < everyMs) {
      last.heldBack++;
      return undefined;
    }
    told.set(what, { sinceMs: nowMs, heldBack: 0 });
    return last?.heldBack ?? 0;
  };
}
