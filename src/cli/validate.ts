import type { Command } from "commander";
import { builtinAdapters } from "../../adapters/index.ts";
import { formatProblem, loadPolicies, ownPart } from "../policy/index.ts";
import type { Loaded, Problem } from "../policy/index.ts";
import type { Io } from "./io.ts";
import { plural } from "./plural.ts";
import { addPolicyOptions, policiesHint, type PolicyOptions } from "./policy-options.ts";

interface ValidateOptions extends PolicyOptions {
  readonly json?: boolean;
  readonly color?: boolean;
}

export function addValidateCommand(program: Command, io: Io): void {
  addPolicyOptions(
    program
      .command("validate")
      .description("Check weir.yaml, the policy files and the configuration of adapters. Serves nothing."),
  )
    .showHelpAfterError(policiesHint)
    .option("--json", "print one JSON object instead of text")
    .option("--color", "mark the mistakes with colours")
    .addHelpText(
      "after",
      `
It is the check that a start and a reload make: what passes here is served there, apart from adapters that cannot reach
what they connect to. The exit status is 1 when there are mistakes; warnings do not count.

Example:
  $ weir validate --policies policies
  policies/ratings.yaml:5:5: error[WEIR_POLICY_UNKNOWN_KEY]: unknown key "unles"
    |
  5 |     unles: source.namespace == "reviews"
    |     ^^^^^
    = did you mean "unless"?`,
    )
    .action(async (options: ValidateOptions) => validate(options, io));
}

async function validate({ config, policies, json, color }: ValidateOptions, io: Io): Promise<void> {
  const loaded = await loadPolicies({ config, policies, cwd: io.cwd, adapters: builtinAdapters });
  if ("problems" in loaded) io.exitCode = 1;
  if (json === true) io.out(`${JSON.stringify(asJson(loaded), undefined, 2)}\n`);
  else asText(loaded, color === true, io);
}

function asText(loaded: Loaded, color: boolean, io: Io): void {
  const found = "problems" in loaded ? loaded.problems : loaded.warnings;
  for (const problem of found) io.err(`${formatProblem(problem, { color })}\n\n`);
  if ("problems" in loaded) {
    if (loaded.omitted > 0) io.err(`... and ${loaded.omitted} more\n`);
    io.err(`${countOf(found)}\n`);
    return;
  }
  const { version } = loaded.snapshot;
  const { policies, rules } = ownPart(loaded.snapshot);
  const warned = found.length === 0 ? "" : `, ${countOf(found)}`;
  const are = policies.length === 1 ? "is" : "are";
  io.out(
    `${plural(policies.length, "policy", "policies")} with ${plural(rules, "rule", "rules")} ${are} fine${warned} (version ${version})\n`,
  );
}

function asJson(loaded: Loaded): unknown {
  if ("problems" in loaded) return { ok: false, problems: loaded.problems, omitted: loaded.omitted };
  const { version } = loaded.snapshot;
  const { policies, rules } = ownPart(loaded.snapshot);
  return {
    ok: true,
    version,
    policies: policies.length,
    rules,
    problems: loaded.warnings,
  };
}

function countOf(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === "error").length;
  const warnings = problems.length - errors;
  const counts = [
    errors > 0 && plural(errors, "mistake", "mistakes"),
    warnings > 0 && plural(warnings, "warning", "warnings"),
  ];
  return counts.filter((count) => count !== false).join(", ");
}
