/** Rows in columns; the first is the head. */
export function tableText(rows: readonly (readonly string[])[], otherwise: string): string {
  if (rows.length === 0) return otherwise === "" ? "" : `${otherwise}\n`;
  const shown = rows.map((row) => row.map(printable));
  const widths = shown[0]!.map((_, i) => Math.min(60, Math.max(...shown.map((row) => row[i]!.length))));
  const lines = shown.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** What a caller wrote may hold control characters, which a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (unit) => `\\u{${unit.codePointAt(0)!.toString(16)}}`);
}
