/** A 32-bit hash of a part of a buffer, four bytes at a step, mixed so that its lowest bits may be used alone. */
export function hashBytes(buffer: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const four = buffer[i]! | (buffer[i + 1]! << 8) | (buffer[i + 2]! << 16) | (buffer[i + 3]! << 24);
    hash = Math.imul(hash ^ four, 0x9e3779b1);
    hash = (hash << 13) | (hash >>> 19);
  }
  for (; i < end; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Whether a part of a buffer has the same bytes as `other` from `offset` on. The caller knows that `other` is long enough. */
export function sameBytes(buffer: Uint8Array, start: number, end: number, other: Uint8Array, offset: number): boolean {
  for (let i = start, k = offset; i < end; i++, k++) if (buffer[i] !== other[k]) return false;
  return true;
}
