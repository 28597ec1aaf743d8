/** Why a journal takes nothing at the moment: it holds all that it may, or it cannot be reached. */
export type JournalRefusal = "full" | "away";

/** One batch as a reader gets it. */
export interface StoredBatch {
  readonly bytes: Uint8Array;
  /** Says that the reader has done with the batch, and never wants it again. Called once at most, batches in any order. */
  done(): void;
}

/** How much a journal holds, where it knows. */
export interface JournalState {
  readonly bytes: number;
  readonly capacity: number;
}

/**
 * Keeps batches of accepted records until every reader has done with them. Each reader has a place of its own, which
 * outlives the process: what it was given and has not called done is given again, to this process or to another that
 * reads by the same name. Nothing is ever waited for without bound.
 */
export interface Journal {
  /** The largest batch that it takes, in bytes. */
  readonly maxBatchBytes: number;
  /** Why nothing can be stored now; `undefined`: it can be tried. Asked for every call of a door, so it only looks. */
  refusal(): JournalRefusal | undefined;
  /**
   * Stores a batch. Answers `stored` when the batch is safe from the end of this process, else why it may not be: a
   * batch that timed out may be there. `id` is unlike that of every other batch, of any process.
   */
  append(batch: Uint8Array, id: string): Promise<"stored" | JournalRefusal>;
  /** Gives what a reader has not done with, oldest first, and then what comes, until the signal is aborted. Never throws. */
  read(reader: string, signal: AbortSignal): AsyncIterable<StoredBatch>;
  /** Says that these are all readers that there are: what only others wait for need not be kept. */
  forget?(except: readonly string[]): void;
  state?(): JournalState | undefined;
}
