import { Command, CommanderError } from "commander";
import type { Io } from "../../src/cli/io.ts";

/** What a command wrote, and how it ended. */
export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number;
  /** Whether the command line was not understood, or only asked for help: the command itself did not run. */
  readonly usage: boolean;
}

/** Runs a command with an outside world that is remembered. `args` begin with the command's name. */
export async function runCommand(
  add: (program: Command, io: Io) => void,
  args: readonly string[],
  { cwd = "/", input = [] }: { readonly cwd?: string; readonly input?: readonly (Uint8Array | string)[] } = {},
): Promise<Ran> {
  const written = { out: "", err: "" };
  const io: Io = {
    stdin: (async function* () {
      yield* input;
    })(),
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    env: {},
    cwd,
    exitCode: 0,
  };
  const output = { writeOut: io.out, writeErr: io.err };
  const program = new Command("weir").exitOverride().configureOutput(output);
  add(program, io);
  // What a command inherits is copied when it is made, so it is told once more.
  for (const command of program.commands) command.exitOverride().configureOutput(output);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { ...written, exitCode: error.exitCode, usage: true };
  }
  return { ...written, exitCode: io.exitCode, usage: false };
}
