import { DynamicTable, sizeOf } from "./dynamic-table.ts";
import { ConnectionError, errorCode } from "./frame.ts";
import { decodeHuffman } from "./huffman.ts";
import { staticTable } from "./static-table.ts";

/** The size of the dynamic table that a peer may use unless it is told otherwise (RFC 9113, 6.5.2). */
const tableBytes = 4096;
const staticCount = staticTable.length / 2;
/** An integer of HPACK with more bytes than this after its prefix is none that we can use. */
const maxIntegerBytes = 4;

/** The fields of a header block. */
export interface Fields {
  /** Name and value by turns, one character a byte. */
  readonly list: readonly string[];
  /** Whether there were more than the limit allows: the rest was read and thrown away. */
  readonly tooLarge: boolean;
}

/**
 * Reads header blocks (RFC 7541), one after the other as they come: a block may change the table that later ones refer
 * to. Throws a {@link ConnectionError} with COMPRESSION_ERROR for bytes that are none, after which nothing can be read.
 */
export class HeaderDecoder {
  readonly #table = new DynamicTable(tableBytes);
  readonly #maxListBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** `maxListBytes` is the largest list of fields given, as RFC 9113, 6.5.2 counts. */
  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes;
  }

  /** See {@link DynamicTable.version}. */
  get version(): number {
    return this.#table.version;
  }

  decode(bytes: Buffer, start: number, end: number): Fields {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const list: string[] = [];
    let listBytes = 0;
    let mayResize = true;
    while (this.#at < end) {
      const first = bytes[this.#at]!;
      // Dynamic table size update (6.3): only at the beginning of a block (4.2).
      if ((first & 0xe0) === 0x20) {
        if (!mayResize) throw broken("a table size update after a field");
        const size = this.#integer(5);
        if (size > tableBytes) throw broken(`a table of ${size} bytes`);
        this.#table.resize(size);
        continue;
      }
      mayResize = false;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        // Indexed field (6.1).
        const index = this.#integer(7);
        name = this.#name(index);
        value = index <= staticCount ? staticTable[2 * index - 1]! : this.#table.value(index - staticCount - 1);
      } else {
        // Literal field: added to the table (6.2.1), or not (6.2.2, 6.2.3).
        const added = first >= 0x40;
        const index = this.#integer(added ? 6 : 4);
        name = index === 0 ? this.#text() : this.#name(index);
        value = this.#text();
        if (added) this.#table.add(name, value);
      }
      listBytes += sizeOf(name, value);
      if (listBytes <= this.#maxListBytes) list.push(name, value);
    }
    return { list, tooLarge: listBytes > this.#maxListBytes };
  }

  #name(index: number): string {
    if (index === 0 || index > staticCount + this.#table.count) throw broken(`there is no entry ${index}`);
    return index <= staticCount ? staticTable[2 * index - 2]! : this.#table.name(index - staticCount - 1);
  }

  /** An integer with a prefix of some bits (5.1). */
  #integer(prefixBits: number): number {
    const max = (1 << prefixBits) - 1;
    let value = this.#byte() & max;
    if (value < max) return value;
    for (let shift = 0; ; shift += 7) {
      if (shift === 7 * maxIntegerBytes) throw broken("an integer of too many bytes");
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** A string literal (5.2). */
  #text(): string {
    if (this.#at >= this.#end) throw broken("a block ends within a field");
    const coded = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw broken("a text is longer than its block");
    return coded ? decodeHuffman(this.#bytes, start, this.#at) : this.#bytes.toString("latin1", start, this.#at);
  }

  #byte(): number {
    if (this.#at >= this.#end) throw broken("a block ends within a field");
    return this.#bytes[this.#at++]!;
  }
}

function broken(message: string): ConnectionError {
  return new ConnectionError(errorCode.compression, message);
}
