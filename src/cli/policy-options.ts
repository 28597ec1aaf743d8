import type { Command } from "commander";

/** Where a command finds the policies. */
export interface PolicyOptions {
  readonly config?: string;
  readonly policies?: string;
}

/** Adds the options that say where the policies are. */
export function addPolicyOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "weir.yaml (default: ./weir.yaml, else the one in the folder of --policies, if any)")
    .option("-p, --policies <folder>", "folder of policy files (default: what weir.yaml says, else ./policies)");
}

/** What commands that take no arguments add to an error: a folder of policies is what they are given most. */
export const policiesHint = "(--policies FOLDER says where the policies are; --help has the rest)";
