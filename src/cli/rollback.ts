import type { Command } from "commander";
import { rollback } from "../policy/pushed/pushing.ts";
import { Unreadable } from "../util/text-file.ts";
import type { Io } from "./io.ts";
import { defaultWait, exitHelp, findStore, moveAndShow, waitHelp } from "./pushing.ts";

export function addRollbackCommand(program: Command, io: Io): void {
  program
    .command("rollback")
    .description("Go back to policies that were pushed before.")
    .argument("[version]", "one of the versions before (default: the last of them)")
    .option("-c, --config <file>", "weir.yaml that says where policies are pushed to (default: ./weir.yaml)")
    .option("--wait <duration>", waitHelp, defaultWait)
    .addHelpText(
      "after",
      `
What was pushed after that version is let go, so that the next rollback leads further back.
${exitHelp}

Example:
  $ weir rollback --config weir.yaml`,
    )
    .action(async (version: string | undefined, { config, wait }: { config?: string; wait: string }) => {
      const found = await findStore(config, io, () => Promise.resolve(new Unreadable("they are not read")));
      if (found === undefined) return;
      await moveAndShow(found.store, { wait, did: "hold again" }, io, (store) => rollback(store, version, Date.now));
    });
}
