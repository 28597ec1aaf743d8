import { flag, frame, frameType } from "./frame.ts";
import { staticTable } from "./static-table.ts";

/**
 * A HEADERS frame for stream 0, to be patched with its stream's id. Every field is a literal that enters no table, so the
 * same bytes serve every stream and connection. Names are in lower case; texts have one character a byte.
 */
export function headersFrame(fields: readonly (readonly [name: string, value: string])[], endStream: boolean): Buffer {
  const block = Buffer.concat(fields.flatMap(([name, value]) => encodeField(name, value)));
  return frame(frameType.headers, flag.endHeaders | (endStream ? flag.endStream : 0), 0, block);
}

/** Literal header field without indexing (RFC 7541, 6.2.2), or a field of the static table where it is one (6.1). */
function encodeField(name: string, value: string): Buffer[] {
  const whole = staticTable.findIndex((text, i) => i % 2 === 0 && text === name && staticTable[i + 1] === value);
  if (whole >= 0) return [integer(0x80, 7, whole / 2 + 1)];
  const named = staticTable.findIndex((text, i) => i % 2 === 0 && text === name);
  const index = named < 0 ? [integer(0, 4, 0), ...literal(name)] : [integer(0, 4, named / 2 + 1)];
  return [...index, ...literal(value)];
}

function literal(text: string): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  return [integer(0, 7, bytes.length), bytes];
}

/** An integer with a prefix of some bits (RFC 7541, 5.1), above which stand the bits of `pattern`. */
function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const max = (1 << prefixBits) - 1;
  if (value < max) return Buffer.of(pattern | value);
  const bytes = [pattern | max];
  let rest = value - max;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.of(...bytes, rest);
}
