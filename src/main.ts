#!/usr/bin/env node
/**
 * The process: arguments, signals and the exit code. Everything else is handed down from here.
 *
 * V8 lets a heap grow to several times what lives in it before it cleans up. A hub is one of many processes on its
 * machine, so its heap is kept nearer to what it needs; what that costs a check cannot be told from nothing. The space
 * for what is new, 32 MB, can be set only where Node is started: `npm start` and the image do so by
 * `--max-semi-space-size=4` (ARCHITECTURE.md, "Memory").
 *
 * What judges a request are many small functions. V8 may put twice as much of them into one another as it does by itself.
 */
import { Command, CommanderError } from "commander";
import { setFlagsFromString } from "node:v8";
import type { Io } from "./cli/io.ts";
import { weirVersion } from "./util/version.ts";

setFlagsFromString("--heap-growing-percent=30");
setFlagsFromString("--max-inlined-bytecode-size=1000");
setFlagsFromString("--max-inlined-bytecode-size-cumulative=2000");

// What Node deprecates is news for developers, not for whoever runs a command.
process.noDeprecation = true;

const io: Io = {
  stdin: process.stdin,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  cwd: process.cwd(),
  exitCode: 0,
  color: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
};

// A reader that went away (`weir check ... | head`) is no fault of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const version = weirVersion();

const program = new Command("weir")
  .description(
    "A policy and telemetry hub: checks requests against policy files, takes reports, exports what they say.",
  )
  .version(version)
  .showSuggestionAfterError()
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    "after",
    `
Start here:
  $ weir serve --policies policies      serve the policies of a folder
  $ weir validate --policies policies   look for mistakes in them
  $ weir test policies                  run their tests
  $ weir check request.path=/x          ask a running hub about a request

Every command has its own --help.`,
  )
  .exitOverride();

/** Each command by its name, loaded when it is called for: a hub that serves holds no code of the others. */
const commands: Readonly<Record<string, () => Promise<(program: Command, io: Io) => void>>> = {
  serve: async () => {
    const { addServeCommand } = await import("./cli/serve.ts");
    return () => addServeCommand(program, io, { version, signals: process });
  },
  validate: async () => (await import("./cli/validate.ts")).addValidateCommand,
  push: async () => (await import("./cli/push.ts")).addPushCommand,
  rollback: async () => (await import("./cli/rollback.ts")).addRollbackCommand,
  versions: async () => (await import("./cli/versions.ts")).addVersionsCommand,
  test: async () => (await import("./cli/test.ts")).addTestCommand,
  check: async () => (await import("./cli/check.ts")).addCheckCommand,
  report: async () => (await import("./cli/report.ts")).addReportCommand,
  held: async () => (await import("./cli/held.ts")).addHeldCommand,
  limits: async () => (await import("./cli/limits.ts")).addLimitsCommand,
  eval: async () => (await import("./cli/eval.ts")).addEvalCommand,
  graph: async () => (await import("./cli/graph.ts")).addGraphCommand,
  why: async () => (await import("./cli/why.ts")).addWhyCommand,
  nginx: async () => (await import("./cli/nginx.ts")).addNginxCommand,
  envoy: async () => (await import("./cli/envoy.ts")).addEnvoyCommand,
  schema: async () => (await import("./cli/schema.ts")).addSchemaCommand,
};
const called = process.argv[2] ?? "";
for (const [name, load] of Object.entries(commands)) {
  if (called === name || !Object.hasOwn(commands, called)) (await load())(program, io);
}

try {
  await program.parseAsync(process.argv);
  process.exitCode = io.exitCode;
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // commander has said it on standard error; help and --version come here with status 0.
  process.exitCode = error.exitCode;
}
