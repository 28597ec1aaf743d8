/** The outside world of a command, handed in so that tests can stand in for it. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** Writes to standard output as it is: end lines yourself. */
  out(text: string): void;
  /** Writes to standard error as it is. */
  err(text: string): void;
  /** Whether standard output is a terminal that shows colours. Default false. */
  readonly color?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that relative paths of the command line are meant from. */
  readonly cwd: string;
  /** What the process exits with: 0 unless the command says otherwise. */
  exitCode: number;
}
