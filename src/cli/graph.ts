import { Option, type Command } from "commander";
import { addConsoleOptions, askConsole, type ConsoleOptions } from "./console-client.ts";
import { mergeGraphs, type Edge, type HubGraph } from "./graph/merged.ts";
import { dotText, mermaidText, tableText } from "./graph/text.ts";
import { readAddress } from "./hub-address.ts";
import type { Io } from "./io.ts";
import { tellingFaults } from "./telling-faults.ts";

const formats = {
  table: tableText,
  dot: dotText,
  mermaid: mermaidText,
  json: (edges) => `${JSON.stringify({ edges }, undefined, 2)}\n`,
} satisfies Record<string, (edges: readonly Edge[]) => string>;

interface GraphOptions extends ConsoleOptions {
  readonly format: keyof typeof formats;
  readonly namespace?: string;
  readonly also: readonly string[];
}

export function addGraphCommand(program: Command, io: Io): void {
  const command = program.command("graph").description("Show who calls whom, as the reports of the last minutes say.");
  addConsoleOptions(command)
    .addOption(new Option("--format <format>", "how to show it").choices(Object.keys(formats)).default("table"))
    .option("--namespace <name>", "only edges that begin or end in this namespace")
    .option(
      "--also <host:port>",
      "admin listener of another hub, whose graph is added; may be given again",
      (address: string, before: readonly string[]) => [...before, readAddress(address)],
      [],
    )
    .addHelpText(
      "after",
      `
The hub counts over the window that telemetry.graph of weir.yaml says, five minutes by default. Latencies are estimates
from buckets that double. Where both sides of a request report, the server's side is shown.

Examples:
  $ weir graph
  $ weir graph --format dot | dot -Tsvg > mesh.svg
  $ weir graph --format mermaid --namespace bookinfo`,
    )
    .action((options: GraphOptions, command: Command) =>
      tellingFaults(command, async () => {
        const admins = [options.admin, ...options.also];
        const graphs = await Promise.all(admins.map((admin) => askConsole(options, io, { path: "/graph" }, admin)));
        const { namespace } = options;
        const edges = mergeGraphs(graphs as HubGraph[]).filter(
          ({ source, destination }) =>
            namespace === undefined || source.namespace === namespace || destination.namespace === namespace,
        );
        if (edges.length === 0) io.err("no report of the last minutes says who called whom\n");
        io.out(formats[options.format](edges));
      }),
    );
}
