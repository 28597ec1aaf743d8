import { InvalidArgumentError, Option, type Command } from "commander";
import {
  createClient,
  createStreamClient,
  type CheckOptions,
  type CheckResult,
  type HeaderOperation,
  type Referenced,
} from "../client/index.ts";
import { refusalCodes } from "../sdk/index.ts";
import { WeirError } from "../util/weir-error.ts";
import { attributeHelp, readAttributeArguments } from "./attribute-arguments.ts";
import { addHubOptions, readTls, type HubOptions } from "./hub-options.ts";
import type { Io } from "./io.ts";
import { percentiles, percentilesText, readCount, repeat } from "./repeat.ts";
import { printable } from "./table-text.ts";
import { tellingFaults } from "./telling-faults.ts";

interface CheckCommandOptions extends HubOptions {
  readonly door: "stream" | "mixer";
  readonly quota?: Record<string, number>;
  readonly bestEffort?: boolean;
  readonly dedup?: string;
  readonly repeat: number;
  readonly concurrency: number;
  readonly json?: boolean;
}

/** Exit statuses of `weir check`. */
const exits = { allowed: 0, fault: 1, refused: 2 };

export function addCheckCommand(program: Command, io: Io, now: () => number = () => performance.now()): void {
  const command = program
    .command("check")
    .description("Ask a running hub whether a request may pass.")
    .argument("[attributes...]", "name=value, or name[key]=value for one entry of a map");
  addHubOptions(command)
    .option("--quota <name=amount>", "take from a limit, by its rule's name; may be given again", readQuota)
    .option("--best-effort", "take less than the amounts of --quota where there is less")
    .option("--dedup <id>", "identity of the request: asked again with the same one, it spends nothing")
    .option("--repeat <n>", "ask so many times, and show how long the answers took", readCount, 1)
    .option("--concurrency <n>", "ask so many at the same time", readCount, 1)
    .addOption(
      new Option("--door <door>", "protocol to ask by; mixer tells no rule names")
        .choices(["stream", "mixer"])
        .default("stream"),
    )
    .option("--json", "print one JSON object; latencies are in milliseconds")
    .addHelpText(
      "after",
      `
${attributeHelp}

The exit status is 0 when the request may pass, 2 when it is refused, 1 when that is not known. Of a repeated check it
is that of the worst answer, and the last one is shown. It ends early when no check is answered any more.

Examples, with the policies of this project:
  $ weir check destination.service.name=ratings destination.namespace=bookinfo \\
      source.principal=cluster.local/ns/bookinfo/sa/bookinfo-reviews
  allowed

  $ weir check destination.service.name=ratings destination.namespace=bookinfo \\
      source.principal=cluster.local/ns/bookinfo/sa/bookinfo-productpage
  refused     permission_denied: ratings answers only reviews
  rules       ratings-access/only-reviews

  $ weir check destination.service.name=productpage destination.namespace=bookinfo source.ip=198.51.100.7 \\
      'request.headers[user-agent]=curl' request.auth.principal=ann --quota per-user=3 --repeat 100 --concurrency 10`,
    )
    .action((given: readonly string[], options: CheckCommandOptions, command: Command) =>
      tellingFaults(command, async () => {
        await check(given, options, io, now);
      }),
    );
}

async function check(given: readonly string[], options: CheckCommandOptions, io: Io, now: () => number): Promise<void> {
  const { attributes, vocabulary } = readAttributeArguments(given);
  const asked: CheckOptions = {
    quotas: Object.fromEntries(
      Object.entries(options.quota ?? {}).map(([name, amount]) => [
        name,
        { amount, bestEffort: options.bestEffort ?? false },
      ]),
    ),
    ...(options.dedup !== undefined && { dedupId: options.dedup }),
  };
  const create = options.door === "mixer" ? createClient : createStreamClient;
  const client = create({ address: options.address, ...(await readTls(options, io.cwd)), vocabulary });
  try {
    let last: CheckResult | undefined;
    let refused = 0;
    let failed = 0;
    let reason: WeirError | undefined;
    const timings = await repeat(options.repeat, options.concurrency, now, async () => {
      try {
        last = await client.check(attributes, asked);
        if (!last.allowed) refused++;
        return true;
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        reason = error;
        failed++;
        return false;
      }
    });
    const { made } = timings;
    const stopped =
      made < options.repeat ? `; ${options.repeat - made} more were not made, since none is answered` : "";
    if (last === undefined) {
      throw made === 1
        ? reason!
        : new WeirError(reason!.code, `${made} of ${made} checks failed${stopped}: ${reason!.message}`);
    }
    io.exitCode = failed > 0 ? exits.fault : refused > 0 ? exits.refused : exits.allowed;
    if (failed > 0) io.err(`${failed} of ${made} checks failed${stopped}, such as: ${reason!.message}\n`);
    const counts = { checks: made, allowed: made - refused - failed, refused, failed };
    if (options.json === true) {
      io.out(
        `${JSON.stringify({ ...shownJson(last), ...(options.repeat > 1 && { counts, latency: percentiles(timings) }) })}\n`,
      );
      return;
    }
    // What an adapter's backend says, and headers made of the request, are nobody's that may steer the terminal.
    for (const [title, text] of shown(last)) io.out(`${title.padEnd(11)} ${printable(text)}`.trimEnd() + "\n");
    if (options.repeat === 1) return;
    io.out(`checks      ${counts.checks}: ${counts.allowed} allowed, ${refused} refused, ${failed} failed\n`);
    io.out(`latency     ${percentilesText(timings)}\n`);
  } finally {
    client.close();
  }
}

/** An answer as lines of title and text; what has nothing to say is left out. */
function shown(result: CheckResult): [title: string, text: string][] {
  const { validForMs, validUses, http, id, version } = result;
  const lines: [string, string][] = [
    result.allowed
      ? ["allowed", result.message]
      : ["refused", `${codeName(result.code)}${result.message === "" ? "" : `: ${result.message}`}`],
    ["rules", result.rules.join(", ")],
    ...(result.degraded ?? []).map((rule): [string, string] => ["degraded", `${rule}: its store did not answer`]),
    ["answer", http === undefined ? "" : `${http.status} ${http.body}`],
    ["location", http?.headers?.find(({ name }) => name.toLowerCase() === "location")?.value ?? ""],
    ["request", result.requestHeaders.map(headerText).join("; ")],
    ["response", result.responseHeaders.map(headerText).join("; ")],
    ...Array.from(result.quotas, ([name, quota]): [string, string] => [
      "quota",
      `${name}: ${quota.granted} granted${quota.code === 0 ? ` for ${quota.validForMs / 1000} s` : `, ${codeName(quota.code)}: ${quota.message}`}`,
    ]),
    ["referenced", result.referenced.map(referencedText).join(", ")],
    ["valid", validForMs > 0 && validUses > 0 ? `${validForMs / 1000} s, ${validUses} uses` : "for this request only"],
    ["decision", id === undefined ? "" : `${id} by policies ${version}`],
  ];
  return lines.filter(([title, text]) => text !== "" || title === "allowed");
}

function shownJson(result: CheckResult): object {
  return {
    ...result,
    code: result.code === 0 ? "ok" : codeName(result.code),
    quotas: Object.fromEntries(
      Array.from(result.quotas, ([name, quota]) => [
        name,
        { ...quota, code: quota.code === 0 ? "ok" : codeName(quota.code) },
      ]),
    ),
    referenced: result.referenced.map(referencedText),
  };
}

function codeName(code: number): string {
  return Object.entries(refusalCodes).find(([, number]) => number === code)?.[0] ?? `code ${code}`;
}

function headerText({ operation, name, value }: HeaderOperation): string {
  return operation === "remove" ? `remove ${name}` : `${operation} ${name}: ${value}`;
}

/** As `weir eval` has it: `a`, `-b` when absent, `m[k]`, `-m[k]`. */
function referencedText({ name, key, condition }: Referenced): string {
  return `${condition === "absent" ? "-" : ""}${name}${key === undefined ? "" : `[${key}]`}`;
}

function readQuota(text: string, before: Record<string, number> = {}): Record<string, number> {
  const m = /^([^=]+)=(\d{1,15})$/.exec(text);
  if (m === null) throw new InvalidArgumentError("expected name=amount, such as per-user=3");
  return { ...before, [m[1]!]: Number(m[2]) };
}
