/** A view of the same memory, which reads four bytes at a step. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * A 32-bit hash of a part of some bytes, mixed so that its lowest bits may be used alone. What four bytes at a step leave
 * over is read by a step that overlaps the one before.
 */
export function hashBytes(view: DataView, start: number, end: number): number {
  let hash = end - start;
  const last = (end - 4) | 0;
  if (last >= start) {
    for (let i = start; i < last; i = (i + 4) | 0) {
      hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
      hash = (hash << 13) | (hash >>> 19);
    }
    hash = Math.imul(hash ^ view.getInt32(last, true), 0x9e3779b1);
    hash = (hash << 13) | (hash >>> 19);
  } else for (let i = start; i < end; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x01000193);
  // What differs in the last byte alone is in few bits still.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 12);
}

/** Whether a part of some bytes is the same as `other` from `offset` on. The caller knows that `other` is long enough. */
export function sameBytes(view: DataView, start: number, end: number, other: DataView, offset: number): boolean {
  const last = (end - 4) | 0;
  const away = (offset - start) | 0;
  if (last >= start) {
    for (let i = start; i < last; i = (i + 4) | 0)
      if (view.getInt32(i, true) !== other.getInt32((i + away) | 0, true)) return false;
    return view.getInt32(last, true) === other.getInt32((last + away) | 0, true);
  }
  for (let i = start; i < end; i++) if (view.getUint8(i) !== other.getUint8(i + away)) return false;
  return true;
}
