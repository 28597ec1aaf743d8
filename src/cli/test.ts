import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { RE2JS } from "re2js";
import { builtinAdapters } from "../../adapters/index.ts";
import type { Io } from "./io.ts";
import { findTestFiles } from "./policy-test/find.ts";
import { formatJson } from "./policy-test/report-json.ts";
import { formatJunit } from "./policy-test/report-junit.ts";
import { formatRun } from "./policy-test/report-text.ts";
import { isGood } from "./policy-test/result.ts";
import { runTests } from "./policy-test/run.ts";

interface TestOptions {
  readonly run?: string;
  readonly json?: boolean;
  readonly junit?: string;
  readonly color?: boolean;
}

/** The folder whose tests are run when none is named. */
const defaultFolder = "./policies";

export function addTestCommand(program: Command, io: Io): void {
  program
    .command("test")
    .description("Run the tests of policies: requests in, decisions out, on a clock of their own.")
    .argument("[paths...]", `test files, or folders with *.test.yaml files (default: ${defaultFolder})`)
    .option("-r, --run <pattern>", "only cases whose name, or file and name, matches (RE2 syntax)")
    .option("--json", "print one JSON object instead of text")
    .option("--junit <file>", "also write the outcome as JUnit XML")
    .option("--color", "colours, also where standard output is no terminal")
    .addHelpText(
      "after",
      `
A test lies beside the policy that it tests, and needs no hub and no backend:

  # policies/ratings.test.yaml
  policy: ratings.yaml
  cases:
    - name: reviews may call ratings
      given: { destination.service.name: ratings, source.namespace: reviews }
      expect: allow
    - name: others may not
      given: { destination.service.name: ratings, source.namespace: default }
      expect: { deny: permission_denied, by: only-reviews }

docs/testing-policies.md has the rest: limits on a moving clock, quotas, headers, metrics and logs, adapters that fail.

The exit status is 0 when all cases passed, 1 when one failed or a file is wrong, 2 when the command line is.

Examples:
  $ weir test
  $ weir test policies/ratings.test.yaml --run "may call"
  $ weir test --junit results.xml policies`,
    )
    .action(async (paths: string[], options: TestOptions) => test(paths, options, io));
}

async function test(paths: readonly string[], options: TestOptions, io: Io): Promise<void> {
  const usage = (message: string): void => {
    io.err(`error[WEIR_USAGE]: ${message}\n`);
    io.exitCode = 2;
  };
  let pattern: RE2JS | undefined;
  try {
    if (options.run !== undefined) pattern = RE2JS.compile(options.run);
  } catch (error) {
    return usage(`--run ${options.run}: ${(error as Error).message}`);
  }
  const named = paths.length > 0 ? paths : [defaultFolder];
  let files: readonly string[];
  try {
    files = await findTestFiles(named, io.cwd);
  } catch (error) {
    return usage((error as Error).message);
  }
  if (files.length === 0) return usage(`no *.test.yaml file in ${named.join(", ")}`);

  const run = await runTests(files, {
    cwd: io.cwd,
    adapters: builtinAdapters,
    monotonic: () => performance.now(),
    ...(pattern !== undefined && { selects: selector(pattern) }),
  });
  if (options.run !== undefined && run.passed + run.failed === 0 && isGood(run)) {
    return usage(`no case matches --run ${options.run}`);
  }
  io.out(options.json === true ? formatJson(run) : formatRun(run, { color: options.color ?? io.color ?? false }));
  if (!isGood(run)) io.exitCode = 1;
  if (options.junit === undefined) return;
  try {
    await writeFile(resolve(io.cwd, options.junit), formatJunit(run));
  } catch (error) {
    usage(`--junit ${options.junit}: ${(error as Error).message}`);
  }
}

function selector(pattern: RE2JS): (file: string, name: string) => boolean {
  return (file, name) => pattern.matcher(name).find() || pattern.matcher(`${file} ${name}`).find();
}
