import { framingHeaders } from "../../util/framing-headers.ts";
import type { Located, Reading } from "../shape/shape.ts";

/** A proxy writes these by itself, and a wrong one splits messages. */
const framing: ReadonlySet<string> = new Set(framingHeaders);

const maxLength = 256;

/** A header's name in lower case, or `undefined` when it must not be written, which is told. */
export function readHeaderName(
  reading: Reading,
  node: { readonly start: number; readonly end: number },
  name: string,
): string | undefined {
  const shown = JSON.stringify(name.slice(0, 60));
  const refuse = (message: string, hint?: string) => reading.tell(node, { code: "WEIR_POLICY_HEADER", message, hint });
  if (name.startsWith(":")) return refuse(`${shown} is a pseudo-header, which only the proxy writes`);
  if (name.length > maxLength) return refuse(`a header's name has at most ${maxLength} characters`);
  // RFC 9110, 5.6.2: a token.
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
    return refuse(`${shown} is not a header's name`, "names have letters, digits and - _ . and no blanks or colons");
  const lower = name.toLowerCase();
  if (lower === "host") return refuse(`the header "host" decides where a request goes and must not be written`);
  if (framing.has(lower)) return refuse(`the header "${lower}" says how a message is carried and must not be written`);
  return lower;
}

/** Tells a constant value that must not be written. Values that are computed are looked at when they are. */
export function checkHeaderValue(reading: Reading, value: Located<string>): void {
  if (!/[\r\n\0]/.test(value.value)) return;
  const message = "a header's value must not hold a line break or a NUL";
  reading.tell(value.node, { code: "WEIR_POLICY_HEADER", message });
}
