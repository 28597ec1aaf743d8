import { Argument, InvalidArgumentError, type Command } from "commander";
import { Duration } from "../attributes/duration.ts";
import { createStreamClient, type HeldLimit, type StreamClient } from "../client/index.ts";
import { WeirError } from "../util/weir-error.ts";
import { addHubOptions, readTls, type HubOptions } from "./hub-options.ts";
import type { Io } from "./io.ts";
import { readCount } from "./repeat.ts";
import { tellingFaults } from "./telling-faults.ts";

interface HeldOptions extends HubOptions {
  readonly ttl?: number;
  readonly limit?: string;
  readonly amount?: number;
  readonly json?: boolean;
}

const actions = ["release", "renew", "refund"] as const;

export function addHeldCommand(program: Command, io: Io): void {
  const command = program
    .command("held")
    .description("Release, renew or refund what a decision took of limits.")
    .addArgument(new Argument("<action>", "what to do").choices(actions))
    .argument("<id>", "the decision's id, as weir check prints it and Envoy's access log has it");
  addHubOptions(command)
    .option("--ttl <duration>", "renew: how long from now on (default: the ttl of each limit)", readTtl)
    .option("--limit <policy/rule>", "refund: only of this limit")
    .option("--amount <n>", "refund: at most so many units of each limit", readCount)
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
The exit status is 0 when something was held under the id, else 1.

Example:
  $ weir held release 9f0c2a7d51e84b36a2f7c8d0e1b35f64
  reports/at-once  1 given back`,
    )
    .action((action: (typeof actions)[number], id: string, options: HeldOptions, command: Command) =>
      tellingFaults(command, async () => {
        refuseMisplaced(action, options);
        const client = createStreamClient({ address: options.address, ...(await readTls(options, io.cwd)) });
        try {
          const limits = await change(client, action, id, options);
          io.out(options.json === true ? `${JSON.stringify({ id, limits })}\n` : limits.map(line).join(""));
        } finally {
          client.close();
        }
      }),
    );
}

function change(
  client: StreamClient,
  action: (typeof actions)[number],
  id: string,
  { ttl, limit, amount }: HeldOptions,
): Promise<readonly HeldLimit[]> {
  if (action === "release") return client.release(id);
  if (action === "renew") return client.renew(id, ttl);
  return client.refund(id, { ...(limit === undefined ? {} : { limit }), ...(amount === undefined ? {} : { amount }) });
}

function refuseMisplaced(action: string, { ttl, limit, amount }: HeldOptions): void {
  if (ttl !== undefined && action !== "renew") throw new WeirError("WEIR_USAGE", "--ttl is for renew");
  if ((limit ?? amount) !== undefined && action !== "refund")
    throw new WeirError("WEIR_USAGE", "--limit and --amount are for refund");
}

function line({ rule, units, validForMs }: HeldLimit): string {
  const amount = Math.round(units * 1000) / 1000;
  const what = validForMs === undefined ? `${amount} given back` : `${amount} for ${Duration.fromMs(validForMs)}`;
  return `${rule}  ${what}\n`;
}

function readTtl(text: string): number {
  const ms = Duration.parse(text)?.ms;
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError("expected a duration such as 30s");
}
