import type { Host } from "../host.ts";

/** A line that an instance has logged. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}

/** A host for tests: time stands until it is moved, and what the instance says is kept. */
export interface FakeHost extends Host {
  /** Everything logged so far. */
  readonly logs: readonly LogLine[];
  /** How often each event was counted. */
  readonly events: ReadonlyMap<string, number>;
  /** Moves time on by `ms`, running the jobs of `every` that fall due on the way, one after the other, each awaited. */
  advance(ms: number): Promise<void>;
  /** Sets the clock, also backwards, as an operator or NTP may. No job runs. */
  setTime(ms: number): void;
  /** Ends the jobs and aborts the signal, as the hub does when it closes an instance. */
  close(): void;
}

export interface FakeHostOptions {
  /** Default `test`. */
  readonly name?: string;
  /** Default: the current folder. */
  readonly folder?: string;
  /** Where the clock starts, in milliseconds since 1970. Default: 2026-01-01T00:00:00Z. */
  readonly now?: number;
}

/** Makes a {@link FakeHost}. */
export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  let time = options.now ?? Date.UTC(2026, 0, 1);
  let passed = 0;
  const moveTo = (ms: number): void => {
    passed += Math.max(0, ms - time);
    time = Math.max(time, ms);
  };
  const logs: LogLine[] = [];
  const events = new Map<string, number>();
  const jobs: { readonly ms: number; readonly job: () => void | Promise<void>; due: number }[] = [];
  const controller = new AbortController();
  const logAt = (level: LogLine["level"]) => (fields: object, message: string) => {
    logs.push({ level, fields, message });
  };

  return {
    name: options.name ?? "test",
    folder: options.folder ?? process.cwd(),
    log: { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") },
    logs,
    events,
    now: () => time,
    monotonic: () => passed,
    signal: controller.signal,
    count(event, by = 1) {
      events.set(event, (events.get(event) ?? 0) + by);
    },
    every(ms, job) {
      if (!(ms > 0)) throw new RangeError(`every: expected a time above 0 ms, got ${ms}`);
      if (!controller.signal.aborted) jobs.push({ ms, job, due: time + ms });
    },
    async advance(ms) {
      const end = time + ms;
      for (;;) {
        const next = jobs.reduce((a, b) => (a === undefined || b.due < a.due ? b : a), jobs[0]);
        if (next === undefined || next.due > end) break;
        moveTo(next.due);
        try {
          await next.job();
        } catch (error) {
          logs.push({ level: "error", fields: { err: error }, message: "a job failed" });
        }
        next.due = time + next.ms;
      }
      moveTo(end);
    },
    setTime(ms) {
      time = ms;
    },
    close() {
      jobs.length = 0;
      controller.abort();
    },
  };
}
