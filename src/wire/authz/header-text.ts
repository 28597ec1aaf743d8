/** Text as a header carries it (UTF-8 bytes as characters), or `undefined` when it must not be written (RFC 9110, 5.5). */
export function headerText(text: string): string | undefined {
  if (/[^\t -~\u0080-\u{10ffff}]/u.test(text)) return undefined;
  return /^[\t -~]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** What a header's bytes (as characters) mean as UTF-8. */
export function textOf(header: string): string {
  return /^[\t -~]*$/.test(header) ? header : Buffer.from(header, "latin1").toString("utf8");
}
