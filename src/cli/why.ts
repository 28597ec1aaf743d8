import type { Command } from "commander";
import { addConsoleOptions, askConsole, type ConsoleOptions } from "./console-client.ts";
import { readCount } from "./repeat.ts";
import { printable } from "./table-text.ts";
import type { Io } from "./io.ts";
import { tellingFaults } from "./telling-faults.ts";

interface WhyOptions extends ConsoleOptions {
  readonly rule?: string;
  readonly last: number;
  readonly json?: boolean;
}

type Attributes = Readonly<Record<string, unknown>>;

/** A refusal as the admin listener's `/refusals` gives it. */
interface Refusal {
  readonly time: string;
  readonly id: string;
  readonly door: string;
  readonly caller: string;
  readonly code: string;
  readonly message?: string;
  readonly rules: readonly string[];
  readonly limits?: readonly Standing[];
  readonly attributes: Attributes | readonly Attributes[];
  readonly version: string;
}

interface Standing {
  readonly rule: string;
  readonly allowed: boolean;
  readonly reset_ms: number;
  /** Whether its store did not answer. */
  readonly degraded?: boolean;
}

export function addWhyCommand(program: Command, io: Io): void {
  const command = program
    .command("why")
    .description("Show why requests were refused: the rule, and the attributes that the decision rests on.")
    .argument("[id]", "the decision's id, as the answer of a check has it; or the beginning of it");
  addConsoleOptions(command)
    .option("--rule <policy/rule>", "only refusals of this rule, or of a policy")
    .option("--last <n>", "at most so many, the latest first", readCount, 10)
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      `
The hub keeps the last 1,000 refusals (telemetry.decisions.recent of weir.yaml), of a flood a hundred a second. Values of
headers and attributes whose names look like those of secrets are masked.

Examples:
  $ weir why
  $ weir why 4bf92f3577b34da6
  $ weir why --rule ratings-access/only-reviews --last 3`,
    )
    .action((id: string | undefined, options: WhyOptions, command: Command) =>
      tellingFaults(command, async () => {
        const answer = (await askConsole(options, io, { path: "/refusals" })) as { refusals: readonly Refusal[] };
        const found = answer.refusals
          .filter((refusal) => id === undefined || refusal.id.startsWith(id))
          .filter(({ rules }) => options.rule === undefined || rules.some((rule) => isOf(rule, options.rule!)));
        if (found.length === 0) {
          const what = id === undefined && options.rule === undefined ? "no refusal" : "no such refusal";
          io.err(`${what} among the last ${answer.refusals.length} that ${options.admin} keeps\n`);
          io.exitCode = 1;
          return;
        }
        const shown = found.slice(0, options.last);
        if (options.json === true) for (const refusal of shown) io.out(`${JSON.stringify(refusal)}\n`);
        else io.out(shown.map(refusalText).join("\n"));
      }),
    );
}

function isOf(rule: string, wanted: string): boolean {
  return rule === wanted || rule.startsWith(`${wanted}/`);
}

function refusalText(refusal: Refusal): string {
  const { time, id, door, caller, code, message, rules, limits = [], attributes, version } = refusal;
  const from = caller === "" ? "" : ` from ${caller}`;
  const lines = [
    `${time}  ${id}  door ${door}${from}`,
    `    refused     ${code}${message === undefined ? "" : `: ${message}`}`,
    `    rules       ${rules.join(", ")}`,
    ...limits.filter(({ allowed }) => !allowed).map((limit) => `    limit       ${limit.rule}: ${limitText(limit)}`),
    ...attributeLines(attributes),
    `    policies    ${version}`,
  ];
  // Attributes come from callers: they must not steer the terminal.
  return `${lines.map(printable).join("\n")}\n`;
}

function limitText({ reset_ms, degraded }: Standing): string {
  if (degraded !== true) return `whole again in ${reset_ms / 1000} s`;
  // Where nobody counted, nothing is known of the limit.
  return reset_ms > 0
    ? `its store did not answer; by the count of this hub whole again in ${reset_ms / 1000} s`
    : "its store did not answer";
}

/** A line for each attribute and each key of a map. A rate limit door's decision rests on several descriptors. */
function attributeLines(attributes: Attributes | readonly Attributes[]): string[] {
  return [attributes].flat().flatMap((part: Attributes) =>
    Object.entries(part).flatMap(([name, value]) => {
      if (typeof value !== "object" || value === null) return [attributeLine(name, value)];
      return Object.entries(value).map(([key, text]) => attributeLine(`${name}[${key}]`, text));
    }),
  );
}

function attributeLine(name: string, value: unknown): string {
  return value === null ? `    absent      ${name}` : `    read        ${name} = ${JSON.stringify(value)}`;
}
