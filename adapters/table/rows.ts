import { setImmediate } from "node:timers/promises";
import { parseTableRow, type TableRow } from "weir/sdk";

/** What a file says, or what is wrong with it: of many mistakes the first 20. */
export interface ReadRows {
  readonly rows: ReadonlyMap<string, TableRow>;
  readonly mistakes: readonly Mistake[];
}

/** A mistake in a line, counted from 1 as columns are. */
export interface Mistake {
  readonly line: number;
  readonly column: number;
  /** How many characters of the line are meant. */
  readonly length: number;
  /** The line. */
  readonly text: string;
  readonly message: string;
}

const maxMistakes = 20;
/** After so many lines others get their turn. */
const turn = 5000;

/**
 * Reads rows: `key: 1000/s` a line, or `key,1000/s` in a file of comma-separated values (RFC 4180, one line a record);
 * behind it a burst, if there is one. Rows that say the same share one object.
 */
export async function readRows(file: string, text: string, maxRows: number): Promise<ReadRows> {
  const rows = new Map<string, TableRow>();
  const mistakes: Mistake[] = [];
  const known = new Map<string, TableRow | string>();
  const cut = file.endsWith(".csv") ? cutRecord : cutLine;
  const lines = text.split("\n");
  for (let i = 0; i < lines.length && mistakes.length < maxMistakes; i++) {
    if (i % turn === turn - 1) await setImmediate();
    const line = lines[i]!.replace(/\r$/, "");
    if (line.trim() === "" || line.startsWith("#")) continue;
    const tell = (column: number, length: number, message: string): void =>
      void mistakes.push({ line: i + 1, column, length: Math.max(1, length), text: line, message });
    const found = cut(line);
    if (typeof found === "string") {
      tell(1, line.length, found);
      continue;
    }
    const { key, said, column } = found;
    if (i === 0 && key === "key" && /^limit\b/.test(said)) continue;
    let row = known.get(said);
    if (row === undefined) known.set(said, (row = parseTableRow(said)));
    if (typeof row === "string") tell(column, said.trimEnd().length, row);
    else if (rows.has(key)) tell(1, line.length, `the key ${JSON.stringify(key.slice(0, 60))} has a row already`);
    else if (rows.size >= maxRows) {
      tell(1, line.length, `there are more than ${maxRows} rows`);
      break;
    } else rows.set(key, row);
  }
  return { rows, mistakes };
}

interface Cut {
  readonly key: string;
  /** The limit, with the burst behind it. */
  readonly said: string;
  /** Where that stands, from 1. */
  readonly column: number;
}

/** `key: 1000/s 2000`. A key may stand in double quotes, as in JSON; the last colon that a space follows ends another. */
function cutLine(line: string): Cut | string {
  const quoted = /^("(?:[^"\\]|\\.)*")\s*:\s*/.exec(line);
  const plain = quoted === null ? /^(.*\S)\s*:\s+(?=[^:]*$)/.exec(line) : null;
  const found = quoted ?? plain;
  if (found === null) return "expected KEY: RATE, such as acme: 1000/s";
  let key: unknown = found[1];
  try {
    if (quoted !== null) key = JSON.parse(found[1]!);
  } catch {
    return "expected a key in double quotes as JSON has it";
  }
  const said = line.slice(found[0].length).replace(/\s+#.*$/, "");
  return { key: key as string, said, column: found[0].length + 1 };
}

/** `key,1000/s,2000`. A key may stand in double quotes, where two of them are one. */
function cutRecord(line: string): Cut | string {
  const found = /^(?:"((?:[^"]|"")*)"|([^",]*)),/.exec(line);
  if (found === null) return "expected KEY,RATE or KEY,RATE,BURST, such as acme,1000/s,2000";
  const key = found[1]?.replaceAll('""', '"') ?? found[2]!;
  const said = line.slice(found[0].length).replace(/,\s*$/, "").replace(",", " ");
  return { key, said, column: found[0].length + 1 };
}
