/** What the hub gives to an instance: everything of the outside world that an adapter should not reach for itself. */
export interface Host {
  /** The instance's name in `weir.yaml`. */
  readonly name: string;
  /** The folder that relative paths of the configuration are meant from: where `weir.yaml` lies. */
  readonly folder: string;
  readonly log: Log;
  /** Milliseconds since 1970. Tests move it by hand. */
  now(): number;
  /** Milliseconds of a clock that nobody sets: for spans of time. It may stand while the machine sleeps. */
  monotonic(): number;
  /** Runs a job again and again, `ms` after the last run ended, until the instance is closed. What the job throws is logged. */
  every(ms: number, job: () => void | Promise<void>): void;
  /** Aborted when the instance is closed. */
  readonly signal: AbortSignal;
  /** Counts something worth an operator's eye, in `weir_adapter_events_total{adapter, event}`. Event names are few and fixed. */
  count(event: string, by?: number): void;
}

/** A structured log. Fields first, sentence last, as pino has it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
