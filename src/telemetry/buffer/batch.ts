import type { Cargo } from "../queues/cargo.ts";

/** How a batch keeps one kind of entries. */
export type Packing<T> = Pick<Cargo<T>, "pack" | "unpack"> & { readonly capability: string; readonly dropped: string };

/**
 * A batch is what became of the records of one call: for each adapter the log entries and spans that its rules made of
 * them, evaluated by the policies that took the records. Whoever delivers it needs the adapter and nothing else, whatever
 * policies it has.
 *
 * In bytes it is lines of JSON: `{"v":2,"id":ID,"to":[[ADAPTER, CAPABILITY], ...]}`, then for each of these in that order
 * a line with its entries, as {@link Cargo.pack} makes them.
 */
export interface Batch {
  readonly id: string;
  readonly bytes: Buffer;
  /** How many entries it holds, for all adapters. */
  readonly entries: number;
}

const version = 2;

/** The most entries of one adapter that are held as objects; then they are turned into bytes. */
const maxHeld = 1000;

const newline = 0x0a;

/** Whom entries are for, and which method of it takes them. */
export type Target = readonly [adapter: string, capability: string];

export interface BatchWriterOptions {
  /** The most bytes of one batch; what goes beyond is another. */
  readonly maxBytes: number;
  /** Names each batch. */
  readonly nextId: () => string;
  /** Called for each entry that is left out since it alone is larger. */
  readonly onTooLarge: (what: string) => void;
}

/** Entries of one adapter. */
interface Part {
  readonly target: Target;
  readonly cargo: Packing<never>;
  readonly entries: readonly unknown[];
}

interface Section extends Part {
  entries: unknown[];
}

/** Collects entries and makes batches of them. */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #sections: Section[] = [];
  #full: Batch[] = [];
  #isEmpty = true;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Where the entries of an adapter are put: one section, whichever rules they are of, since a reader looks for one. */
  section<T>(adapter: string, cargo: Packing<T>): (entry: T) => void {
    const isIt = ({ target }: Section): boolean => target[0] === adapter && target[1] === cargo.capability;
    let section = this.#sections.find(isIt);
    if (section === undefined) {
      section = { target: [adapter, cargo.capability], cargo: cargo as Packing<never>, entries: [] };
      this.#sections.push(section);
    }
    return this.#adder(section);
  }

  #adder(section: Section): (entry: unknown) => void {
    return (entry) => {
      this.#isEmpty = false;
      if (section.entries.push(entry) === maxHeld) this.#encode([takeAll(section)]);
    };
  }

  /** The batches, which the writer forgets. */
  take(): readonly Batch[] {
    this.#isEmpty = true;
    const parts = this.#sections.filter(({ entries }) => entries.length > 0).map(takeAll);
    if (parts.length > 0) this.#encode(parts);
    const batches = this.#full;
    this.#full = [];
    return batches;
  }

  /** Makes one batch; what is too large for one, is made two. */
  #encode(parts: readonly Part[]): void {
    const { maxBytes, nextId, onTooLarge } = this.#options;
    const id = nextId();
    const bytes = encode(id, parts);
    if (bytes.length <= maxBytes) {
      const entries = parts.reduce((sum, part) => sum + part.entries.length, 0);
      this.#full.push({ id, bytes, entries });
      return;
    }
    const smaller = halves(parts);
    if (smaller === undefined) onTooLarge(parts[0]!.cargo.dropped);
    else for (const half of smaller) this.#encode(half);
  }
}

function takeAll(section: Section): Part {
  const { target, cargo, entries } = section;
  section.entries = [];
  return { target, cargo, entries };
}

/** `undefined` for a single entry. */
function halves(parts: readonly Part[]): readonly (readonly Part[])[] | undefined {
  if (parts.length > 1) {
    const middle = parts.length >> 1;
    return [parts.slice(0, middle), parts.slice(middle)];
  }
  const [{ target, cargo, entries }] = parts as readonly [Part];
  if (entries.length === 1) return undefined;
  const middle = entries.length >> 1;
  return [entries.slice(0, middle), entries.slice(middle)].map((half) => [{ target, cargo, entries: half }]);
}

function encode(id: string, parts: readonly Part[]): Buffer {
  const head = JSON.stringify({ v: version, id, to: parts.map(({ target }) => target) });
  const lines = parts.map(({ cargo, entries }) => JSON.stringify(cargo.pack(entries as readonly never[])));
  return Buffer.from([head, ...lines].join("\n"));
}

/** Whom a batch has entries for. Throws when the bytes are no batch of a version that is known. */
export function batchTargets(bytes: Uint8Array): readonly Target[] {
  return readHead(asBuffer(bytes)).to;
}

/** The entries of a batch for one exporter, each with an id that is its own wherever it is delivered again. Throws as above. */
export function batchEntries<T>(bytes: Uint8Array, adapter: string, cargo: Packing<T>): readonly T[] {
  const buffer = asBuffer(bytes);
  const { id, to } = readHead(buffer);
  const position = to.findIndex((target) => target[0] === adapter && target[1] === cargo.capability);
  if (position < 0) return [];
  let start = 0;
  for (let line = 0; line <= position; line++) start = endOfLine(buffer, start) + 1;
  return cargo.unpack(JSON.parse(buffer.toString("utf8", start, endOfLine(buffer, start))), `${id}/${position}`);
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
