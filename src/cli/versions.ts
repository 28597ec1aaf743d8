import type { Command } from "commander";
import { pushedVersions, type PushedVersion } from "../policy/pushed/versions.ts";
import { Unreadable } from "../util/text-file.ts";
import { count, followingLine, noHub } from "./hub-lines.ts";
import type { Io } from "./io.ts";
import { findStore, onStore } from "./pushing.ts";

export function addVersionsCommand(program: Command, io: Io): void {
  program
    .command("versions")
    .description("Show the policies that were pushed, and which hubs serve them.")
    .option("-c, --config <file>", "weir.yaml that says where policies are pushed to (default: ./weir.yaml)")
    .option("--json", "print them as JSON")
    .addHelpText(
      "after",
      `
The one that holds comes first, then those before it, which "weir rollback VERSION" leads back to. Below are the hubs: which
version each serves, since when, and what it refused. One that was ended hard is shown for half a minute more.

Example:
  $ weir versions --config weir.yaml`,
    )
    .action(async ({ config, json }: { config?: string; json?: true }) => {
      const found = await findStore(config, io, () => Promise.resolve(new Unreadable("they are not read")));
      if (found === undefined) return;
      await onStore(found.store, io, async (store) => {
        const { versions, hubs } = await pushedVersions(store, () => performance.now());
        if (json === true) io.out(`${JSON.stringify({ versions, hubs }, undefined, 2)}\n`);
        else if (versions.length === 0) io.out("no policies were pushed yet\n");
        else {
          for (const each of versions) io.out(`${lineOf(each)}\n`);
          io.out(hubs.length === 0 ? `\n${noHub}\n` : "\n");
          for (const each of hubs) io.out(`${followingLine(each)}\n`);
        }
      });
    });
}

function lineOf({ version, time, holds, servedBy, refusedBy }: PushedVersion): string {
  const notes = [
    ...(holds ? ["holds"] : []),
    ...(servedBy.length > 0 ? [`served by ${count(servedBy.length)}`] : []),
    ...(refusedBy.length > 0 ? [`refused by ${count(refusedBy.length)}`] : []),
  ];
  // To the second, as wide as any time.
  const since = (time === undefined ? "not kept" : `${time.slice(0, 19)}Z`).padEnd(20);
  return `${version}  ${since}  ${notes.join(", ")}`.trimEnd();
}
