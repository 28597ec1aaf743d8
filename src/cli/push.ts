import { resolve } from "node:path";
import type { Command } from "commander";
import { ownPart } from "../policy/index.ts";
import { push } from "../policy/pushed/pushing.ts";
import { readFolder } from "../policy/pushed/pushed-set.ts";
import { Unreadable } from "../util/text-file.ts";
import type { Io } from "./io.ts";
import { defaultWait, findStore, moveAndShow, showProblems } from "./pushing.ts";

export function addPushCommand(program: Command, io: Io): void {
  program
    .command("push")
    .description("Push a folder of policies to all hubs that follow the same store.")
    .argument("[folder]", "folder of policy files", "policies")
    .option("-c, --config <file>", "weir.yaml that says where they are pushed to (default: ./weir.yaml)")
    .option("--wait <duration>", "how long to wait for what the hubs say", defaultWait)
    .addHelpText(
      "after",
      `
The policies are compiled first, with weir.yaml as a hub would; with a mistake nothing is pushed. The exit status is 1 when
a hub refused them or did not say within --wait that it serves them.

Example:
  $ weir push policies --config weir.yaml`,
    )
    .action(async (folder: string, { config, wait }: { config?: string; wait: string }) => {
      const path = resolve(io.cwd, folder);
      const found = await findStore(config, io, (weirYaml) => readFolder(path, weirYaml));
      if (found === undefined) return;
      const { store, loaded, set } = found;
      if (!(set instanceof Unreadable)) showProblems(loaded, io);
      if (set instanceof Unreadable || set.files.length === 0) {
        const why = set instanceof Unreadable ? set.message : `${folder} has no policy files (*.yaml)`;
        io.err(`error[WEIR_PUSH]: ${why}: nothing was pushed\n`);
        io.exitCode = 1;
      } else if ("problems" in loaded) {
        io.err("error[WEIR_PUSH]: the policies have mistakes: nothing was pushed\n");
        io.exitCode = 1;
      } else {
        const { policies, rules } = ownPart(loaded.snapshot);
        const did = `with ${policies.length} policies and ${rules} rules were pushed`;
        await moveAndShow(store, { wait, did }, io, (opened) => push(opened, set, Date.now));
      }
    });
}
