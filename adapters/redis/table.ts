import { parseTableRow, type Host, type TableRow } from "weir/sdk";
import type { RedisConfig } from "./config.ts";
import type { Store } from "./connection.ts";

type TableConfig = Pick<RedisConfig, "table" | "tableRefresh" | "tableRows">;

/**
 * Keeps the limits of single keys that a hash says, read again every `tableRefresh`. A value that is no limit leaves the
 * key as it was before, and is counted and logged. While Redis is away, or the hash is too large, all of it stays.
 */
export async function readTable(
  store: Pick<Store, "fields">,
  { table, tableRefresh, tableRows }: TableConfig,
  host: Pick<Host, "every" | "count" | "log">,
): Promise<(key: string) => TableRow | undefined> {
  let rows: ReadonlyMap<string, TableRow> = new Map();
  if (table === undefined) {
    let told = false;
    return () => {
      if (!told)
        host.log.warn({}, "a limit asks for a table and `table` of the adapter names none: its own limit holds");
      told = true;
      return undefined;
    };
  }
  /** Rows by their texts: those that say the same share one object, from one reading to the next too. */
  let known = new Map<string, TableRow | string>();
  let failing = "";

  const read = async (): Promise<void> => {
    const next = new Map<string, TableRow>();
    const used = new Map<string, TableRow | string>();
    const problems: string[] = [];
    for await (const pairs of store.fields(table)) {
      for (let i = 0; i < pairs.length; i += 2) {
        const [key, text] = [pairs[i]!, pairs[i + 1]!];
        const row = used.get(text) ?? known.get(text) ?? parseTableRow(text);
        used.set(text, row);
        if (typeof row !== "string") next.set(key, row);
        else {
          if (problems.length < 5) problems.push(`${JSON.stringify(key.slice(0, 60))}: ${row}`);
          const before = rows.get(key);
          if (before !== undefined) next.set(key, before);
        }
      }
      if (next.size > tableRows) throw new Error(`the hash ${table} has more than ${tableRows} fields`);
    }
    [rows, known] = [next, used];
    tell(problems.join("; "));
  };

  function tell(problem: string): void {
    if (problem !== "" && problem !== failing) {
      host.count("table_refused");
      host.log.error({ table, problem }, "rows of the table could not be taken: what they said before goes on");
    }
    failing = problem;
  }

  const refresh = (): Promise<void> =>
    read().catch((error: unknown) => tell(error instanceof Error ? error.message : String(error)));
  await refresh();
  host.every(tableRefresh, refresh);
  return (key) => rows.get(key);
}
