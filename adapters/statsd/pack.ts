/** Packs lines into datagrams of at most `size` bytes, in order. A line that has no room in any is left out and told of. */
export function* pack(lines: Iterable<string>, size: number, tooLong: () => void): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let length = 0;
  for (const line of lines) {
    const bytes = Buffer.byteLength(line);
    if (bytes > size) {
      tooLong();
      continue;
    }
    if (length > 0 && length + 1 + bytes > size) {
      yield Buffer.from(buffer.subarray(0, length));
      length = 0;
    }
    if (length > 0) buffer[length++] = 0x0a;
    length += buffer.write(line, length);
  }
  if (length > 0) yield Buffer.from(buffer.subarray(0, length));
}
