import type { Cargo } from "../cargo.ts";

/**
 * A batch is what became of the records of one call: for each adapter the log entries and spans that its rules made of
 * them, evaluated by the policies that took the records. Whoever delivers it needs the adapter and nothing else, whatever
 * policies it has.
 *
 * In bytes it is lines of JSON: `{"v":1,"id":ID,"to":[[ADAPTER, CAPABILITY], ...]}`, then for each of these in that order
 * a line with the list of its entries, as {@link Cargo.pack} makes them.
 */
export interface Batch {
  readonly id: string;
  readonly bytes: Buffer;
  /** How many entries it holds, for all adapters. */
  readonly entries: number;
}

const version = 1;

/** What the first line takes at most, and what each adapter adds to it. */
const headBytes = 256;
const sectionBytes = 512;

const newline = 0x0a;

/** Whom entries are for, and which method of it takes them. */
export type Target = readonly [adapter: string, capability: string];

interface Section {
  readonly target: Target;
  readonly texts: string[];
}

/** Collects entries, as text at once: what is not stored yet holds no objects. */
export class BatchWriter {
  readonly #maxBytes: number;
  readonly #onTooLarge: (what: Cargo<never>["dropped"]) => void;
  #sections: Section[] = [];
  #bytes = headBytes;
  #full: Section[][] = [];

  /**
   * @param maxBytes the most bytes of one batch; what goes beyond begins another
   * @param onTooLarge called for each entry that is left out since it alone is larger
   */
  constructor(maxBytes: number, onTooLarge: (what: Cargo<never>["dropped"]) => void) {
    this.#maxBytes = maxBytes;
    this.#onTooLarge = onTooLarge;
  }

  get isEmpty(): boolean {
    return this.#sections.length === 0;
  }

  add<T>(adapter: string, cargo: Cargo<T>, entry: T): void {
    const text = JSON.stringify(cargo.pack(entry));
    const size = Buffer.byteLength(text) + 1;
    if (headBytes + sectionBytes + size > this.#maxBytes) return this.#onTooLarge(cargo.dropped);
    const { capability } = cargo;
    let section = this.#sections.find(({ target }) => target[0] === adapter && target[1] === capability);
    if (this.#bytes + size + (section === undefined ? sectionBytes : 0) > this.#maxBytes) {
      this.#begin();
      section = undefined;
    }
    if (section === undefined) {
      this.#sections.push((section = { target: [adapter, capability], texts: [] }));
      this.#bytes += sectionBytes;
    }
    section.texts.push(text);
    this.#bytes += size;
  }

  /** The batches, which the writer forgets. `nextId` names each. */
  take(nextId: () => string): readonly Batch[] {
    if (!this.isEmpty) this.#begin();
    return this.#full.splice(0).map((sections) => {
      const id = nextId();
      const head = JSON.stringify({ v: version, id, to: sections.map(({ target }) => target) });
      const lines = sections.map(({ texts }) => `[${texts.join(",")}]`);
      const entries = sections.reduce((sum, { texts }) => sum + texts.length, 0);
      return { id, bytes: Buffer.from([head, ...lines].join("\n")), entries };
    });
  }

  #begin(): void {
    this.#full.push(this.#sections);
    this.#sections = [];
    this.#bytes = headBytes;
  }
}

/** Whom a batch has entries for. Throws when the bytes are no batch of a version that is known. */
export function batchTargets(bytes: Uint8Array): readonly Target[] {
  return readHead(asBuffer(bytes)).to;
}

/** The entries of a batch for one exporter, each with an id that is its own wherever it is delivered again. Throws as above. */
export function batchEntries<T>(bytes: Uint8Array, adapter: string, cargo: Cargo<T>): readonly T[] {
  const buffer = asBuffer(bytes);
  const { id, to } = readHead(buffer);
  const position = to.findIndex((target) => target[0] === adapter && target[1] === cargo.capability);
  if (position < 0) return [];
  let start = 0;
  for (let line = 0; line <= position; line++) start = endOfLine(buffer, start) + 1;
  const rows = JSON.parse(buffer.toString("utf8", start, endOfLine(buffer, start))) as readonly unknown[];
  return rows.map((row, i) => cargo.unpack(row, `${id}/${position}.${i}`));
}

function readHead(buffer: Buffer): { readonly id: string; readonly to: readonly Target[] } {
  const head = JSON.parse(buffer.toString("utf8", 0, endOfLine(buffer, 0))) as Record<string, unknown>;
  const { v, id, to } = head;
  if (v !== version || typeof id !== "string" || !Array.isArray(to))
    throw new TypeError(`expected a batch of version ${version}, got ${JSON.stringify(v)}`);
  return { id, to: to as Target[] };
}

function endOfLine(buffer: Buffer, from: number): number {
  const end = buffer.indexOf(newline, from);
  return end < 0 ? buffer.length : end;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
