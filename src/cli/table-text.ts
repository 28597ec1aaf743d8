/** A head and rows in columns, or a sentence where there are none. What callers wrote can be among the cells. */
export function tableText(rows: readonly (readonly string[])[], otherwise: string): string {
  if (rows.length === 0) return otherwise === "" ? "" : `${otherwise}\n`;
  return columnsText(
    rows.map((row) => row.map(printable)),
    60,
  );
}

/** Rows of as many cells in columns, each as wide as its widest cell, but `most` characters at most. */
export function columnsText(rows: readonly (readonly string[])[], most = Infinity): string {
  const widths = rows[0]!.map((_, i) => Math.min(most, Math.max(...rows.map((row) => row[i]!.length))));
  const lineOf = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ");
  return rows.map((row) => `${lineOf(row).trimEnd()}\n`).join("");
}

/** What a caller wrote may hold control characters, which a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (unit) => `\\u{${unit.codePointAt(0)!.toString(16)}}`);
}
