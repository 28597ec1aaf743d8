import type { Journal, JournalRefusal } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import { WeirError } from "../../util/weir-error.ts";
import { batchEntries, batchTargets, BatchWriter, type Batch, type Packing } from "./batch.ts";

export interface RecordBufferOptions {
  readonly journal: Journal;
  /** What becomes of records while the journal is away: they are refused, or wait in memory. */
  readonly whenAway: "refuse" | "memory";
  readonly observer: Pick<Observer, "dropped">;
  /** Counted up with each entry. */
  readonly counts: BufferCounts;
  /** An id that no other batch has, of any process. */
  readonly nextId: () => string;
}

/** How many entries a journal has stored, how many went by it, and how many it may not have stored, to be sent again. */
export interface BufferCounts {
  stored: number;
  spilled: number;
  refused: number;
}

/** Where a rule puts its entries. */
export interface EntrySink<T> {
  /** How many entries may be put in now. */
  readonly room: number;
  push(entry: T): void;
}

/**
 * Between records and the queues of exporters: the entries of a call become one batch, which a journal has stored before
 * the call is answered. The queues get what the journal gives, and nothing else, but for what goes by it while it is away.
 */
export class RecordBuffer {
  readonly #options: RecordBufferOptions;
  readonly #writer: BatchWriter;
  readonly #exporters = new Map<string, Exporter>();
  /** Why a record of the call at hand was not taken. */
  #refused: JournalRefusal | undefined;

  constructor(options: RecordBufferOptions) {
    this.#options = options;
    this.#writer = new BatchWriter({
      maxBytes: options.journal.maxBatchBytes,
      nextId: options.nextId,
      onTooLarge: (what) => options.observer.dropped(what, "too_large", 1),
    });
  }

  /** The way of entries to an adapter, whose queue takes them directly where they may go by the journal. */
  sink<T>(cargo: Packing<T>, adapter: string, queue: EntrySink<T>): EntrySink<T> {
    this.#exporters.set(`${adapter}/${cargo.capability}`, { cargo, queue } as unknown as Exporter);
    const roomOf = (): number => this.#room(queue);
    const keep = this.#writer.section(adapter, cargo);
    return {
      get room() {
        return roomOf();
      },
      push: (entry) => {
        if (!this.#goesBy()) return keep(entry);
        queue.push(entry);
        this.#options.counts.spilled++;
      },
    };
  }

  /**
   * Ends a call: stores what its records became. `undefined` when there is nothing to wait for. Rejects with
   * WEIR_REPORT_NOT_STORED or WEIR_REPORT_NOT_TAKEN when that is not known to be stored.
   */
  commit(): Promise<void> | undefined {
    const refused = this.#refused;
    this.#refused = undefined;
    const stored = this.#writer.isEmpty ? undefined : this.#store(this.#writer.take());
    if (refused !== "away") return stored;
    const away = notStored("away");
    return stored === undefined ? Promise.reject(away) : stored.then(() => Promise.reject(away));
  }

  #goesBy(): boolean {
    const { journal, whenAway } = this.#options;
    return whenAway === "memory" && journal.refusal() === "away";
  }

  #room(queue: Pick<EntrySink<never>, "room">): number {
    const refusal = this.#options.journal.refusal();
    if (refusal === undefined) return Infinity;
    if (refusal === "away" && this.#options.whenAway === "memory") return queue.room;
    this.#refused = refusal;
    return 0;
  }

  async #store(batches: readonly Batch[]): Promise<void> {
    const { journal, counts } = this.#options;
    const outcomes = await Promise.all(
      batches.map(async (batch) => {
        try {
          const outcome = await journal.append(batch.bytes, batch.id);
          if (outcome === "away" && this.#spill(batch)) return "stored";
          if (outcome === "stored") counts.stored += batch.entries;
          else counts.refused += batch.entries;
          return outcome;
        } catch {
          counts.refused += batch.entries;
          return "away";
        }
      }),
    );
    const refusal = outcomes.find((outcome) => outcome !== "stored");
    if (refusal !== undefined) throw notStored(refusal);
  }

  /** Puts a batch that the journal did not take into the queues, where it may and all of it has room. */
  #spill({ bytes, entries: count }: Batch): boolean {
    if (this.#options.whenAway !== "memory") return false;
    const parts = batchTargets(bytes).map(([adapter, capability]) => {
      const { cargo, queue } = this.#exporters.get(`${adapter}/${capability}`)!;
      return { queue, entries: batchEntries(bytes, adapter, cargo) };
    });
    if (!parts.every(({ queue, entries }) => queue.room >= entries.length)) return false;
    for (const { queue, entries } of parts) for (const entry of entries) queue.push(entry);
    this.#options.counts.spilled += count;
    return true;
  }
}

interface Exporter {
  readonly cargo: Packing<never>;
  readonly queue: EntrySink<never>;
}

function notStored(refusal: JournalRefusal): WeirError {
  if (refusal === "full") return new WeirError("WEIR_REPORT_NOT_TAKEN", "records were not taken: the buffer is full");
  return new WeirError("WEIR_REPORT_NOT_STORED", "records were not taken: the buffer that keeps them is away");
}
