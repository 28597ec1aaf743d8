import type { JetStreamManager, RetentionPolicy } from "@nats-io/jetstream";

/** A stream as the adapter makes it where there is none of that name. */
export interface StreamWish {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: RetentionPolicy;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly replicas: number;
  readonly description: string;
}

/** How long a stream knows the ids of messages, so that one that is sent again is not stored twice. */
const duplicateWindowMs = 120_000;

/** The code of an API error: there is no such stream. */
const streamNotFound = 10_059;

/** Makes the stream unless there is one of that name, which stays as an operator made it. */
export async function ensureStream(manager: JetStreamManager, wish: StreamWish): Promise<void> {
  const { JetStreamApiError, DiscardPolicy, StorageType } = await import("@nats-io/jetstream");
  try {
    await manager.streams.info(wish.name);
    return;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== streamNotFound) throw error;
  }
  await manager.streams.add({
    name: wish.name,
    description: wish.description,
    subjects: [...wish.subjects],
    retention: wish.retention,
    storage: StorageType.File,
    // What is full refuses what is new: nothing that was taken makes place for it.
    discard: DiscardPolicy.New,
    max_bytes: wish.maxBytes,
    max_age: wish.maxAgeMs * 1_000_000,
    num_replicas: wish.replicas,
    duplicate_window: Math.min(duplicateWindowMs, wish.maxAgeMs) * 1_000_000,
  });
}
