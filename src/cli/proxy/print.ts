import type { Command } from "commander";
import { builtinAdapters } from "../../../adapters/index.ts";
import { formatProblem, loadPolicies } from "../../policy/index.ts";
import type { Snapshot } from "../../policy/snapshot.ts";
import type { Io } from "../io.ts";
import type { PolicyOptions } from "../policy-options.ts";
import { tellingFaults } from "../telling-faults.ts";

/** A configuration that can be printed, by what it was made for. */
export interface Heading {
  /** The command that prints it. */
  readonly command: string;
  readonly version: string;
  /** What is printed, and where it belongs. */
  readonly what: string;
  /** When it is to be printed again. */
  readonly again: string;
  readonly warnings: readonly string[];
}

/** What stands above a configuration. */
export function headingText({ command, version, what, again, warnings }: Heading): string {
  return [
    `Printed by ${command} for the policies ${version}: ${what}.`,
    again,
    ...warnings.map((warning) => `Warning: ${warning}.`),
  ].join("\n");
}

/**
 * Loads the policies and prints what they need of a proxy, as `print` writes it. Mistakes in them, and options that do
 * not fit together, are said on standard error, with the exit status 1.
 */
export async function printFor(
  { config, policies }: PolicyOptions,
  command: Command,
  io: Io,
  print: (snapshot: Snapshot) => void,
): Promise<void> {
  await tellingFaults(command, async () => {
    const loaded = await loadPolicies({ config, policies, cwd: io.cwd, adapters: builtinAdapters });
    if ("problems" in loaded) {
      for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n\n`);
      if (loaded.omitted > 0) io.err(`... and ${loaded.omitted} more\n`);
      io.exitCode = 1;
      return;
    }
    print(loaded.snapshot);
  });
}

/** Says what an operator should know of a configuration. */
export function warn(io: Io, warnings: readonly string[]): void {
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
}
