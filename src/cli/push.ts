import { resolve } from "node:path";
import type { Command } from "commander";
import { ownPart } from "../policy/index.ts";
import { preview } from "../policy/pushed/preview.ts";
import { push } from "../policy/pushed/pushing.ts";
import { readFolder, type PushedSet } from "../policy/pushed/pushed-set.ts";
import type { PolicyStore } from "../sdk/index.ts";
import { Unreadable } from "../util/text-file.ts";
import type { Io } from "./io.ts";
import { plural } from "./plural.ts";
import { defaultWait, exitHelp, findStore, moveAndShow, onStore, showProblems, waitHelp } from "./pushing.ts";

interface PushOptions {
  readonly config?: string;
  readonly wait: string;
  readonly dryRun?: true;
}

export function addPushCommand(program: Command, io: Io): void {
  program
    .command("push")
    .description("Push a folder of policies to all hubs that follow the same store.")
    .argument("[folder]", "folder of policy files", "policies")
    .option("-c, --config <file>", "weir.yaml that says where they are pushed to (default: ./weir.yaml)")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--wait <duration>", waitHelp, defaultWait)
    .addHelpText(
      "after",
      `
The policies are compiled first, with weir.yaml as a hub would; with a mistake nothing is pushed. Then each hub that follows
takes them, or says why not.
${exitHelp}

Examples:
  $ weir push policies --config weir.yaml
  $ weir push policies --dry-run`,
    )
    .action(async (folder: string, { config, wait, dryRun }: PushOptions) => {
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
        const what = `with ${plural(policies.length, "policy", "policies")} and ${plural(rules, "rule", "rules")}`;
        if (dryRun === true) await onStore(store, io, (opened) => showPreview(opened, set, what, io));
        else
          await moveAndShow(store, { wait, did: `${what} were pushed` }, io, (opened) => push(opened, set, Date.now));
      }
    });
}

const signs = { added: "+", changed: "~", removed: "-" } as const;

/** Shows what a push would change. */
async function showPreview(store: PolicyStore, set: PushedSet, what: string, io: Io): Promise<void> {
  const { holds, files } = await preview(store, set);
  const now = holds === undefined ? "nothing holds now" : holds === set.version ? "as now" : `now: ${holds}`;
  io.out(`policies ${set.version} ${what} would be pushed (${now})\n`);
  for (const { path, change } of files) io.out(`  ${signs[change]} ${path}\n`);
  io.out("nothing was changed\n");
}
