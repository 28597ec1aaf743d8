/** What became of one reported record. */
export type RecordOutcome =
  /** Taken: counted, and its entries wait for delivery. */
  | "taken"
  /** Not taken, in no part: a queue it needs is full. The caller may try again later. */
  | "full";
