import { InvalidArgumentError, type Command } from "commander";
import { WeirError } from "../util/weir-error.ts";
import { addConsoleOptions, askConsole, type ConsoleOptions } from "./console-client.ts";
import type { Io } from "./io.ts";
import { dividedRows, proxyRows } from "./divided-rows.ts";
import { keyText, listRows, standRows, topRows, type LimitsAnswer } from "./limit-rows.ts";
import { tableText } from "./table-text.ts";
import { tellingFaults } from "./telling-faults.ts";

interface LimitsOptions extends ConsoleOptions {
  readonly absent?: readonly string[];
  readonly top?: string;
  readonly all?: boolean;
  readonly amount?: number;
  readonly for?: string;
  readonly until?: string;
  readonly json?: boolean;
}

const keyHelp = "NAME=VALUE for each name of `by:`; where `by:` is one expression the value alone will do";
const absentHelp = "the key of requests that have no such value; may be given again";

export function addLimitsCommand(program: Command, io: Io): void {
  const command = program
    .command("limits")
    .description("See how limits of a running hub are used; reset them, or grant more.")
    .argument("[rule]", "POLICY/RULE: of this limit, the most used keys")
    .argument("[key...]", `where this key stands: ${keyHelp}`)
    .option("--absent <name>", absentHelp, collect);
  addConsoleOptions(command)
    .option("--top <n>", "show so many keys, 1,000 at most (default: 20)")
    .option("--json", "print the JSON of the admin listener")
    .addHelpText(
      "after",
      `
Limits in Redis count for all hubs that share it; those in memory are the ones of the hub that is asked. Every change is
logged by the hub with the name of whose token it was.

Examples:
  $ weir limits
  LIMIT             RATE                 ALGORITHM     BY              VIA     KEYS
  plans/per-tenant  100/s, burst 200     token-bucket  tenant.id       redis   -
  login/per-ip      5/m                  token-bucket  source.ip       memory  31

  $ weir limits plans/per-tenant                        who uses most
  $ weir limits plans/per-tenant acme                   how much is left of one
  $ weir limits grant plans/per-tenant acme --amount 5000 --for 1h
  $ weir limits reset plans/per-tenant acme`,
    )
    .action(guarded(io, showLimits));

  const reset = command
    .command("reset")
    .description("Forget what is taken of a key, or of every key.")
    .argument("<rule>", "POLICY/RULE")
    .argument("[key...]", keyHelp)
    .option("--absent <name>", absentHelp, collect);
  addConsoleOptions(reset)
    .option("--all", "every key of the limit")
    .option("--json", "print the JSON of the admin listener")
    .addHelpText("after", "\nExample:\n  $ weir limits reset login/per-ip 198.51.100.7")
    .action(guarded(io, resetLimit));

  const grant = command
    .command("grant")
    .description("Let more units be taken of a key than its limit allows, once, for a while.")
    .argument("<rule>", "POLICY/RULE")
    .argument("[key...]", keyHelp)
    .option("--absent <name>", absentHelp, collect);
  addConsoleOptions(grant)
    .requiredOption(
      "--amount <units>",
      "so many; it takes the place of what was granted before, 0 takes it back",
      units,
    )
    .option("--for <duration>", "as long as that, such as 1h (default: until the window ends)")
    .option("--until <time>", "until then, such as 2027-01-31T00:00:00Z")
    .option("--json", "print the JSON of the admin listener")
    .addHelpText(
      "after",
      "\nExample:\n  $ weir limits grant plans/per-month acme --amount 5000 --until 2027-01-31T00:00:00Z",
    )
    .action(guarded(io, grantUnits));
}

/** Runs an action; what the hub says is wrong goes to standard error, with status 1. */
function guarded(io: Io, run: (...given: Given) => Promise<void>) {
  return (rule: string | undefined, key: readonly string[], _options: LimitsOptions, command: Command) =>
    tellingFaults(command, () => run(rule, key, command.optsWithGlobals<LimitsOptions>(), io));
}

type Given = readonly [rule: string | undefined, key: readonly string[], options: LimitsOptions, io: Io];

async function showLimits(...[rule, key, options, io]: Given): Promise<void> {
  const { absent = [], top } = options;
  const asksKey = key.length + absent.length > 0;
  if (rule === undefined && (asksKey || top !== undefined))
    throw new WeirError("WEIR_USAGE", "name the limit, as POLICY/RULE; weir limits lists them");
  if (asksKey && top !== undefined) throw new WeirError("WEIR_USAGE", "--top is for all keys of a limit");
  const query = new URLSearchParams([
    ...key.map((text) => ["key", text] as [string, string]),
    ...absent.map((text) => ["absent", text] as [string, string]),
    ...(top === undefined ? [] : [["top", top] as [string, string]]),
  ]);
  const search = query.size === 0 ? "" : `?${query}`;
  const answer = (await askConsole(options, io, { path: pathOf(rule) + search })) as LimitsAnswer;
  if (options.json === true) return io.out(`${JSON.stringify(answer)}\n`);
  if (rule === undefined) return io.out(tableText(listRows(answer), "no policy has a limit"));
  const divided = typeof answer.divided === "object" ? answer.divided : [];
  const counted = asksKey ? standRows(answer) : topRows(answer);
  io.out(tableText(counted, divided.length === 0 ? "nothing is taken of this limit" : ""));
  if (!asksKey && !answer.complete) io.out(`of the first ${answer.seen} keys; there are more\n`);
  if (divided.length === 0) return;
  io.out(`${counted.length === 0 ? "" : "\n"}divided among proxies by this hub, a second and at once:\n`);
  io.out(tableText(asksKey ? proxyRows(divided) : dividedRows(divided, answer.by), ""));
}

async function resetLimit(...[rule, key, options, io]: Given): Promise<void> {
  const { absent, all } = options;
  const body = { ...(key.length > 0 && { key }), ...(absent && { absent }), ...(all === true && { all }) };
  const answer = (await askConsole(options, io, {
    path: `${pathOf(rule)}/reset`,
    method: "POST",
    body,
  })) as LimitsAnswer;
  if (options.json === true) return io.out(`${JSON.stringify(answer)}\n`);
  const what = typeof answer.key === "string" ? `every key, ${answer.reset} in use` : keyText(answer.key);
  io.out(`reset ${answer.rule}: ${what}\n`);
  if (typeof answer.divided === "number")
    io.out(`of ${answer.divided} divided among proxies the burst is there anew; what proxies have stays theirs\n`);
}

async function grantUnits(...[rule, key, options, io]: Given): Promise<void> {
  const { absent, amount, until } = options;
  const body = {
    ...(key.length > 0 && { key }),
    ...(absent && { absent }),
    ...(until !== undefined && { until }),
    ...(options.for !== undefined && { for: options.for }),
    amount,
  };
  const answer = (await askConsole(options, io, {
    path: `${pathOf(rule)}/grant`,
    method: "POST",
    body,
  })) as LimitsAnswer;
  if (options.json === true) return io.out(`${JSON.stringify(answer)}\n`);
  const whose = `${keyText(answer.key as Record<string, string>)} of ${answer.rule}`;
  if (answer.granted === 0) io.out(`nothing is granted to ${whose} any more\n`);
  else io.out(`granted ${answer.granted} units to ${whose} until ${answer.until}\n`);
}

function pathOf(rule: string | undefined): string {
  return rule === undefined ? "/limits" : `/limits/${rule.split("/").map(encodeURIComponent).join("/")}`;
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function units(text: string): number {
  if (/^\d{1,13}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a whole number of units, such as 5000");
}
