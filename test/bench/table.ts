/** One line of the result. */
export interface Row {
  readonly scenario: string;
  /** What the hub did. */
  readonly weir: string;
  /** What it is measured against, in the same run. */
  readonly beside: string;
  /** The figure that the target is about. */
  readonly figure: string;
  readonly target: string;
  /** Whether the target is met; left out where there is none. */
  readonly met?: boolean;
  /** What a reader must know to trust or doubt the line. */
  readonly notes?: readonly string[];
}

const columns = ["Scenario", "Weir", "Beside it", "Figure", "Target", "Met"];

/** The rows as a Markdown table with aligned columns, and the notes below it. */
export function renderTable(rows: readonly Row[]): string {
  const notes: string[] = [];
  const cells = rows.map((row) => {
    const marks = (row.notes ?? []).map((note) => ` [${notes.push(note)}]`).join("");
    const met = row.met === undefined ? "" : row.met ? "yes" : "**no**";
    return [row.scenario + marks, row.weir, row.beside, row.figure, row.target, met];
  });
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((line) => line[i]!.length)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, i) => text.padEnd(widths[i]!)).join(" | ")} |`;
  const table = [line(columns), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
  return notes.length === 0 ? table : `${table}\n\n${notes.map((note, i) => `[${i + 1}] ${note}`).join("  \n")}`;
}

/** `23,400/s` */
export function rate(perSecond: number): string {
  const digits = perSecond < 1000 ? 0 : 10 ** (Math.floor(Math.log10(perSecond)) - 2);
  const rounded = digits === 0 ? Math.round(perSecond) : Math.round(perSecond / digits) * digits;
  return `${rounded.toLocaleString("en-US")}/s`;
}

/** `42.1 us` */
export function micros(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} us`;
}
