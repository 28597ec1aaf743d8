export interface QueueLimits {
  /** Entries waiting, those being delivered included. */
  readonly entries: number;
  /** Estimated bytes of waiting entries, beyond which no more is taken. */
  readonly bytes: number;
  /** The most entries of one batch. */
  readonly batch: number;
  /** The longest an entry waits for others to share a batch with. */
  readonly delayMs: number;
  /** How long one delivery may take. */
  readonly timeoutMs: number;
  /** How often a batch is offered without any of it being delivered, before it is dropped. */
  readonly attempts: number;
  /** For how long a batch is offered at least, before it is dropped. */
  readonly patienceMs: number;
  /** The pause before the second attempt; it doubles with each, up to `maxBackoffMs`. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** The longest pause that an adapter may ask for. */
  readonly maxRetryAfterMs: number;
  /** For how long, when the queue is closed, an adapter is tried that does not take what others keep. */
  readonly lastTryMs: number;
}

export const defaultQueueLimits: QueueLimits = {
  entries: 10_000,
  bytes: 64 * 1024 * 1024,
  batch: 512,
  delayMs: 200,
  timeoutMs: 10_000,
  attempts: 8,
  patienceMs: 0,
  backoffMs: 100,
  maxBackoffMs: 10_000,
  maxRetryAfterMs: 300_000,
  lastTryMs: 1000,
};
