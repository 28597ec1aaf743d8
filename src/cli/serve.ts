import { Option, type Command } from "commander";
import { pino } from "pino";
import { builtinAdapters } from "../../adapters/index.ts";
import type { ListenerSettings } from "../listen/settings.ts";
import { formatProblem, ownPart } from "../policy/index.ts";
import { WeirError } from "../util/weir-error.ts";
import { createWeir, type Weir } from "../weir.ts";
import { errorInLog } from "./error-in-log.ts";
import type { Io } from "./io.ts";
import { plural } from "./plural.ts";
import { addPolicyOptions, policiesHint, type PolicyOptions } from "./policy-options.ts";
import { createStopSignals } from "./stop-signals.ts";

interface ServeOptions extends PolicyOptions {
  readonly grpc?: string;
  readonly http?: string;
  readonly admin?: string;
  readonly logLevel: string;
  readonly jsonReady?: boolean;
}

/** The part of `process` that serving needs: signals, and a way out that does not wait. */
export interface Signals {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

const exitGraceMs = 250;

/** How many policies are named when the hub starts. */
const maxShownPolicies = 20;

export function addServeCommand(program: Command, io: Io, host: { version: string; signals: Signals }): void {
  addPolicyOptions(program.command("serve").description("Run the hub."))
    .showHelpAfterError(policiesHint)
    .option("--grpc <host:port>", "gRPC doors (default 127.0.0.1:9091; port 0: any free one)")
    .option("--http <host:port>", "HTTP doors (default 127.0.0.1:9092)")
    .option("--admin <host:port>", "health, metrics and what is loaded (default 127.0.0.1:9093)")
    .addOption(
      new Option("--log-level <level>", "the least that the hub's log tells; it goes to standard error")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .option("--json-ready", "write one line of JSON with the addresses to standard output once it serves")
    .addHelpText(
      "after",
      `
Files are read again when they change and on SIGHUP; a set with a mistake changes nothing and is shown at /status of the
admin listener. SIGTERM and SIGINT drain: health turns NOT_SERVING, calls in flight end, adapters flush. A second signal
exits at once.

Example:
  $ weir serve --config policies/weir.yaml
  $ curl -s localhost:9093/readyz`,
    )
    .action(async (options: ServeOptions) => {
      await serve(options, io, host);
      // The process ends by itself once its output is written. What an adapter left behind, such as a timer, or a reader
      // of the output that is stuck, must not keep it.
      setTimeout(() => host.signals.exit(io.exitCode), exitGraceMs).unref();
    });
}

async function serve(options: ServeOptions, io: Io, host: { version: string; signals: Signals }): Promise<void> {
  const log = pino(
    {
      level: options.logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { err: errorInLog },
    },
    { write: (line: string) => io.err(line) },
  );
  // Signals are taken from the start: one that comes while policies are compiled must not be lost.
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  const stopSignal = createStopSignals({ env: io.env, now: () => performance.now() });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    host.signals.on(signal, () => {
      const meaning = stopSignal(signal);
      if (meaning === "exit") host.signals.exit(signal === "SIGINT" ? 130 : 143);
      if (meaning !== "drain") return;
      log.info({ signal }, "stopping; a second signal exits at once");
      stop();
    });
  }
  let running: Weir | undefined;
  host.signals.on("SIGHUP", () => void running?.reload("SIGHUP"));

  try {
    const started = await createWeir({
      ...(options.config === undefined ? {} : { config: options.config }),
      ...(options.policies === undefined ? {} : { policies: options.policies }),
      listen: {
        ...(options.grpc === undefined ? {} : { grpc: options.grpc }),
        ...(options.http === undefined ? {} : { http: options.http }),
        ...(options.admin === undefined ? {} : { admin: options.admin }),
      },
      cwd: io.cwd,
      adapters: builtinAdapters,
      version: host.version,
      log,
    });
    if ("problems" in started) {
      for (const problem of started.problems) io.err(`${formatProblem(problem)}\n`);
      const errors = started.problems.filter(({ severity }) => severity === "error").length;
      io.err(`weir does not start: ${plural(errors, "mistake", "mistakes")}\n`);
      io.exitCode = 1;
      return;
    }
    running = started.weir;
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    io.err(`error[${error.code}]: ${error.message}\n`);
    io.exitCode = 1;
    return;
  }

  const { listening } = running;
  if (options.jsonReady === true) io.out(`${JSON.stringify(listening)}\n`);
  else io.out(await banner(running, io.cwd));
  await stopped;
  io.exitCode = (await running.close()) ? 0 : 1;
}

/** What a person wants to see first: where it listens, what it has loaded, and what to try. */
async function banner(weir: Weir, cwd: string): Promise<string> {
  const { listening, snapshot } = weir;
  const { policies: own, rules } = ownPart(snapshot);
  const shown = own.slice(0, maxShownPolicies);
  const more = own.length - shown.length;
  const width = Math.max(...shown.map(({ name }) => name.length), 0);
  const policies = shown.map((policy) => {
    const of = (list: readonly { policy: { name: string } }[]) =>
      list.filter((rule) => rule.policy.name === policy.name).length;
    const parts = [
      `${of(snapshot.checks)} check`,
      `${of(snapshot.reports)} report`,
      ...(policy.mode === "observe" ? ["observes only"] : []),
    ];
    return `    ${policy.name.padEnd(width)}  ${parts.join(", ")}`;
  });
  // Only a person needs them, so what finds them is loaded only here.
  const { pasteableChecks } = await import("./examples.ts");
  const { tlsOptions } = await import("./paste-tls.ts");
  const { grpc, http, admin } = snapshot.settings.listen;
  const options = await tlsOptions({ ...grpc, address: listening.grpc }, cwd);
  const examples = await pasteableChecks(snapshot, { cwd, address: listening.grpc, options });
  const url = (settings: ListenerSettings, address: string): string =>
    `${settings.tls === undefined ? "http" : "https"}://${address}`;
  return [
    `weir ${weir.version} serves`,
    `    gRPC doors   ${listening.grpc}${grpc.tls === undefined ? "" : " (TLS)"}`,
    `    HTTP doors   ${url(http, listening.http)}`,
    `    admin        ${url(admin, listening.admin)}`,
    `${plural(own.length, "policy", "policies")}, ${plural(rules, "rule", "rules")}, version ${snapshot.version}`,
    ...policies,
    ...(own.length < snapshot.policies.length ? ["    and Istio's standard metrics (telemetry.mesh)"] : []),
    ...(more > 0 ? [`    and ${more} more: ${url(admin, listening.admin)}/policies`] : []),
    ...(examples === undefined
      ? []
      : [
          "Try, in another terminal:",
          `    ${examples.allow}`,
          "        -> allowed",
          `    ${examples.deny}`,
          "        -> refused",
        ]),
    "",
  ].join("\n");
}
