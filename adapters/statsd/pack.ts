export interface PackOptions {
  /** The most bytes of a datagram. */
  readonly size: number;
  /** Told of a line that has no room in any, which is left out. */
  readonly tooLong: () => void;
  /** Given what was taken of the lines and is in no datagram, when datagrams are asked for no more before the end. */
  readonly left: (lines: Buffer) => void;
}

/** Packs lines into datagrams, in order. */
export function* pack(lines: Iterable<string>, { size, tooLong, left }: PackOptions): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let length = 0;
  for (const line of lines) {
    const bytes = Buffer.byteLength(line);
    if (bytes > size) {
      tooLong();
      continue;
    }
    if (length > 0 && length + 1 + bytes > size) {
      let goesOn = false;
      try {
        yield Buffer.from(buffer.subarray(0, length));
        goesOn = true;
      } finally {
        if (!goesOn) left(Buffer.from(line));
      }
      length = 0;
    }
    if (length > 0) buffer[length++] = 0x0a;
    length += buffer.write(line, length);
  }
  if (length > 0) yield Buffer.from(buffer.subarray(0, length));
}
