/**
 * A clock that never runs backwards, over one that may (NTP, an operator): a step back counts as no time passed, a step
 * forward as time passed. After a step back it goes on at once, rather than standing until the other has caught up.
 */
export function steadyClock(now: () => number): () => number {
  let seen = now();
  let steady = seen;
  return () => {
    const current = now();
    if (current > seen) steady += current - seen;
    seen = current;
    return steady;
  };
}
