/** A view of the same memory, which reads four bytes at a step. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 32-bit hash of a part of some bytes, mixed so that its lowest bits may be used alone. */
export function hashBytes(view: DataView, start: number, end: number): number {
  let hash = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
    hash = (hash << 13) | (hash >>> 19);
  }
  for (; i < end; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Whether a part of some bytes is the same as `other` from `offset` on. The caller knows that `other` is long enough. */
export function sameBytes(view: DataView, start: number, end: number, other: DataView, offset: number): boolean {
  let i = start;
  let k = offset;
  for (; i + 4 <= end; i += 4, k += 4) if (view.getInt32(i, true) !== other.getInt32(k, true)) return false;
  for (; i < end; i++, k++) if (view.getUint8(i) !== other.getUint8(k)) return false;
  return true;
}
