/** What an entry counts beside its texts (RFC 7541, 4.1). */
const entryBytes = 32;

/** The dynamic table of one direction of a connection (RFC 7541, 2.3.2). Texts have one character a byte. */
export class DynamicTable {
  /** Changes with every change of the table: what was read with one number reads the same as long as it holds. */
  version = 0;
  /** A ring of name and value by turns, whose length is a power of two. */
  #ring: string[] = [];
  /** How many entries were ever added; the newest stands before this place. */
  #added = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How many entries it holds. */
  get count(): number {
    return this.#count;
  }

  /** What it holds, as the RFC counts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The name of an entry; 0 is the newest. It must be there. */
  name(index: number): string {
    return this.#ring[this.#place(this.#added - 1 - index)]!;
  }

  value(index: number): string {
    return this.#ring[this.#place(this.#added - 1 - index) + 1]!;
  }

  /** Adds an entry; the oldest make room. One that is larger than the table leaves it empty. */
  add(name: string, value: string): void {
    this.version++;
    const bytes = sizeOf(name, value);
    this.#shrink(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    if (2 * this.#count === this.#ring.length) this.#grow();
    const place = this.#place(this.#added++);
    this.#ring[place] = name;
    this.#ring[place + 1] = value;
    this.#count++;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.version++;
    this.#maxBytes = maxBytes;
    this.#shrink(maxBytes);
  }

  #shrink(maxBytes: number): void {
    while (this.#bytes > maxBytes && this.#count > 0) {
      const place = this.#place(this.#added - this.#count);
      this.#bytes -= sizeOf(this.#ring[place]!, this.#ring[place + 1]!);
      this.#ring[place] = this.#ring[place + 1] = "";
      this.#count--;
    }
  }

  #grow(): void {
    const older = Array.from({ length: this.#count }, (_, i) => [this.name(i), this.value(i)] as const);
    this.#ring = new Array<string>(Math.max(16, 2 * this.#ring.length)).fill("");
    for (const [i, [name, value]] of older.entries()) {
      const place = this.#place(this.#added - 1 - i);
      this.#ring[place] = name;
      this.#ring[place + 1] = value;
    }
  }

  #place(entry: number): number {
    return (2 * entry) & (this.#ring.length - 1);
  }
}

/** The size of a field as the RFCs count it (RFC 7541, 4.1; RFC 9113, 6.5.2). */
export function sizeOf(name: string, value: string): number {
  return name.length + value.length + entryBytes;
}
