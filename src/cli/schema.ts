import { Argument } from "commander";
import type { Command } from "commander";
import { policySchema, weirSchema } from "../policy/index.ts";
import type { Io } from "./io.ts";

export function addSchemaCommand(program: Command, io: Io): void {
  program
    .command("schema")
    .description("Print the JSON Schema of policy files or of weir.yaml, for editors.")
    .addArgument(new Argument("[file]", "of what").choices(["policy", "weir"]).default("policy"))
    .addHelpText(
      "after",
      `
Editors with the YAML language server complete and check policy files by it. It knows shapes and names of keys; what
expressions and names mean, only weir validate knows.

Example:
  $ weir schema policy > .policy.schema.json
  and in the first line of a policy file:
  # yaml-language-server: $schema=../.policy.schema.json`,
    )
    .action((file: "policy" | "weir") => {
      io.out(`${JSON.stringify(file === "policy" ? policySchema() : weirSchema(), undefined, 2)}\n`);
    });
}
