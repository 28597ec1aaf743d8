#!/usr/bin/env node
/** The process: arguments, signals and the exit code. Everything else is handed down from here. */
import { Command, CommanderError } from "commander";
import { readFileSync } from "node:fs";
import { addCheckCommand } from "./cli/check.ts";
import { addEvalCommand } from "./cli/eval.ts";
import type { Io } from "./cli/io.ts";
import { addReportCommand } from "./cli/report.ts";
import { addSchemaCommand } from "./cli/schema.ts";
import { addServeCommand } from "./cli/serve.ts";
import { addTestCommand } from "./cli/test.ts";
import { addValidateCommand } from "./cli/validate.ts";

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

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

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

addServeCommand(program, io, { version, signals: process });
addValidateCommand(program, io);
addTestCommand(program, io);
addCheckCommand(program, io);
addReportCommand(program, io);
addEvalCommand(program, io);
addSchemaCommand(program, io);

try {
  await program.parseAsync(process.argv);
  process.exitCode = io.exitCode;
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // commander has said it on standard error; help and --version come here with status 0.
  process.exitCode = error.exitCode;
}
