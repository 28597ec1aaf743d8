import type { Command } from "commander";
import { WeirError } from "../util/weir-error.ts";

/** Runs what a command does. What a hub or the command line is at fault for is told in one line, with exit status 1. */
export async function tellingFaults(command: Command, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    command.error(`error: ${error.message}`, { exitCode: 1, code: error.code });
  }
}
