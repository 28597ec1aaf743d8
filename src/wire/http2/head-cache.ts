/** Places for blocks, a power of two: a proxy sends a few different ones. */
const places = 8;
/** Longer blocks are read anew each time. */
const maxBlockBytes = 256;

interface Entry<Head> {
  readonly block: Uint8Array;
  readonly version: number;
  readonly head: Head;
}

/**
 * What was read of header blocks of one connection, by their bytes. A block that is read with the same dynamic table
 * means the same, so a client that repeats itself (most of a gRPC client's calls differ in their message only) has its
 * head read once.
 */
export class HeadCache<Head> {
  readonly #entries: (Entry<Head> | undefined)[] = [];

  /** `version` is that of the dynamic table. */
  find(bytes: Uint8Array, start: number, end: number, version: number): Head | undefined {
    const entry = this.#entries[placeOf(bytes, start, end)];
    if (entry === undefined || entry.version !== version) return undefined;
    const { block } = entry;
    if (block.length !== end - start) return undefined;
    for (let i = 0; i < block.length; i++) if (block[i] !== bytes[start + i]) return undefined;
    return entry.head;
  }

  /** Keeps what a block means. The block must have left the table as it was. */
  keep(bytes: Uint8Array, start: number, end: number, version: number, head: Head): void {
    if (end - start > maxBlockBytes) return;
    this.#entries[placeOf(bytes, start, end)] = { block: new Uint8Array(bytes.subarray(start, end)), version, head };
  }
}

function placeOf(bytes: Uint8Array, start: number, end: number): number {
  // The end tells calls apart more often than the beginning.
  return ((end - start) * 5 + bytes[end - 1]! * 3 + bytes[start + ((end - start) >> 1)]!) & (places - 1);
}
