import type { Host } from "weir/sdk";

/** What an operator is told of a receiver, without a line for every request. */
export interface Notices {
  /** Tells of the first failure of a row of them, and of its end. */
  failed(what: string, reason: string): void;
  worked(what: string): void;
  /** Why it does not take something, while it does not. */
  failing(what: string): string | undefined;
  /** Tells that part of a request was not taken, once a minute at most. */
  partial(what: string, rejected: number, message: string): void;
}

const quietMs = 60_000;

export function createNotices(host: Host): Notices {
  const failing = new Map<string, string>();
  const told = new Map<string, number>();
  return {
    failed(what, reason) {
      const known = failing.has(what);
      failing.set(what, reason);
      if (known) return;
      host.log.warn({ reason }, `the receiver does not take ${what}`);
    },
    worked(what) {
      if (failing.delete(what)) host.log.info({}, `the receiver takes ${what} again`);
    },
    failing: (what) => failing.get(what),
    partial(what, rejected, message) {
      const now = host.now();
      const before = told.get(what);
      if (before !== undefined && now >= before && now - before < quietMs) return;
      told.set(what, now);
      host.log.warn({ rejected, message }, `the receiver took a request of ${what} and says that something is wrong`);
    },
  };
}
