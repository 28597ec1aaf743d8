export interface StopSignalsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds of a clock that is never set. */
  now(): number;
}

/** How soon after the first a signal is the same one, passed on by npm. Nobody presses a key twice within it. */
const echoMs = 100;

/**
 * What each signal to stop means: the first drains, the second exits at once. npm hands on the signals that it gets; a
 * terminal's Ctrl-C, or a stop that goes to all processes of a service, therefore reaches what it runs (`npm start`,
 * `npx weir`) twice. Such an echo is not a second signal.
 */
export function createStopSignals({ env, now }: StopSignalsOptions): (signal: string) => "drain" | "exit" | "echo" {
  const runByNpm = env["npm_lifecycle_event"] !== undefined;
  let first: { readonly signal: string; readonly atMs: number } | undefined;
  return (signal) => {
    if (first === undefined) {
      first = { signal, atMs: now() };
      return "drain";
    }
    return runByNpm && signal === first.signal && now() - first.atMs < echoMs ? "echo" : "exit";
  };
}
