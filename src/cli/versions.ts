import type { Command } from "commander";
import { pushedVersions, type PushedVersion } from "../policy/pushed/versions.ts";
import { Unreadable } from "../util/text-file.ts";
import type { Io } from "./io.ts";
import { findStore, onStore } from "./pushing.ts";

export function addVersionsCommand(program: Command, io: Io): void {
  program
    .command("versions")
    .description("Show the policies that were pushed, and which hubs serve them.")
    .option("-c, --config <file>", "weir.yaml that says where policies are pushed to (default: ./weir.yaml)")
    .option("--json", "print them as JSON, with the names of the hubs")
    .addHelpText(
      "after",
      `
The one that holds comes first, then those before it, which "weir rollback VERSION" leads back to.

Example:
  $ weir versions --config weir.yaml`,
    )
    .action(async ({ config, json }: { config?: string; json?: true }) => {
      const found = await findStore(config, io, () => Promise.resolve(new Unreadable("they are not read")));
      if (found === undefined) return;
      await onStore(found.store, io, async (store) => {
        const versions = await pushedVersions(store);
        if (json === true) io.out(`${JSON.stringify({ versions }, undefined, 2)}\n`);
        else if (versions.length === 0) io.out("no policies were pushed yet\n");
        else for (const each of versions) io.out(`${lineOf(each)}\n`);
      });
    });
}

function lineOf({ version, time, holds, servedBy, refusedBy }: PushedVersion): string {
  const notes = [
    ...(holds ? ["holds"] : []),
    ...(servedBy.length > 0 ? [`served by ${hubs(servedBy.length)}`] : []),
    ...(refusedBy.length > 0 ? [`refused by ${hubs(refusedBy.length)}`] : []),
  ];
  // To the second, as wide as any time.
  const since = (time === undefined ? "not kept" : `${time.slice(0, 19)}Z`).padEnd(20);
  return `${version.replaceAll(/\p{Cc}/gu, "?")}  ${since}  ${notes.join(", ")}`.trimEnd();
}

function hubs(count: number): string {
  return count === 1 ? "1 hub" : `${count} hubs`;
}
