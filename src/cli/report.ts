import type { Command } from "commander";
import { createStreamClient } from "../client/index.ts";
import { attributeHelp, readAttributeArguments } from "./attribute-arguments.ts";
import { addHubOptions, readTls, type HubOptions } from "./hub-options.ts";
import type { Io } from "./io.ts";
import { percentiles, percentilesText, readCount, repeat } from "./repeat.ts";
import { tellingFaults } from "./telling-faults.ts";

interface ReportCommandOptions extends HubOptions {
  readonly repeat: number;
  readonly batch: number;
  readonly concurrency: number;
  readonly json?: boolean;
}

export function addReportCommand(program: Command, io: Io, now: () => number = () => performance.now()): void {
  const command = program
    .command("report")
    .description("Report a request that was served to a running hub.")
    .argument("[attributes...]", "name=value, or name[key]=value for one entry of a map");
  addHubOptions(command)
    .option("--repeat <n>", "report so many records, all alike", readCount, 1)
    .option("--batch <n>", "put so many records into one message", readCount, 100)
    .option("--concurrency <n>", "send so many messages at the same time", readCount, 1)
    .option("--json", "print one JSON object; latencies are in milliseconds")
    .addHelpText(
      "after",
      `
${attributeHelp}

The exit status is 0 when the hub took every record, else 1.

Example, with the policies of this project; the count then shows at http://127.0.0.1:9093/metrics:
  $ weir report context.protocol=http destination.service.name=ratings destination.namespace=bookinfo \\
      source.workload.name=reviews-v3 request.method=GET request.path=/ratings/0 \\
      response.code=200 response.duration=3ms request.size=0 response.size=48
  taken       1`,
    )
    .action((given: readonly string[], options: ReportCommandOptions, command: Command) =>
      tellingFaults(command, async () => {
        await report(given, options, io, now);
      }),
    );
}

async function report(
  given: readonly string[],
  options: ReportCommandOptions,
  io: Io,
  now: () => number,
): Promise<void> {
  const { attributes, vocabulary } = readAttributeArguments(given);
  const client = createStreamClient({ address: options.address, ...(await readTls(options, io.cwd)), vocabulary });
  try {
    let left = options.repeat;
    let taken = 0;
    const reasons = new Set<string>();
    const messages = Math.ceil(options.repeat / options.batch);
    const timings = await repeat(messages, options.concurrency, now, async () => {
      const size = Math.min(options.batch, left);
      left -= size;
      const result = await client.report(Array.from({ length: size }, () => attributes));
      taken += result.taken;
      if (result.notTaken > 0) reasons.add("a queue or the buffer is full");
      for (const { message } of result.errors) reasons.add(message);
      return true;
    });
    const notTaken = options.repeat - taken;
    if (notTaken > 0) io.exitCode = 1;
    if (options.json === true) {
      io.out(
        `${JSON.stringify({ taken, not_taken: notTaken, reasons: [...reasons], latency: percentiles(timings) })}\n`,
      );
      return;
    }
    io.out(`taken       ${taken}\n`);
    if (notTaken > 0) io.out(`not taken   ${notTaken}: ${[...reasons].join("; ")}\n`);
    if (messages > 1) io.out(`latency     ${percentilesText(timings)} for ${messages} messages\n`);
  } finally {
    client.close();
  }
}
