import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BufferedReports } from "./buffered-reports.ts";
import { runOnLoadCore, serverFlags } from "./server-process.ts";
import { rate, type Row } from "./table.ts";

const script = join(dirname(fileURLToPath(import.meta.url)), "buffered-reports.js");
const target = 100_000;

/** What it costs to store reports before they are answered, and to read them again. */
export async function bufferedReports(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [buffer, name] of [
    ["nats", "JetStream"],
    ["disk", "a file, synced"],
  ] as const) {
    const { perCpuSecond, perSecond } = await runOnLoadCore<BufferedReports>([...serverFlags, script, buffer]);
    rows.push({
      scenario: `Reports kept in ${name}, without a door: batches of 100, a log entry of 8 fields each`,
      weir: `${rate(perSecond)}, the program that stores them on the same core or disk`,
      beside: "",
      figure: `${rate(perCpuSecond)} of CPU`,
      target: buffer === "nats" ? `at least ${rate(target)}` : "",
      ...(buffer === "nats" ? { met: perCpuSecond >= target } : {}),
    });
  }
  return rows;
}
