import type { Consumer, JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Host, Journal, JournalRefusal, JournalState } from "weir/sdk";
import type { NatsConfig } from "./config.ts";
import { textOf } from "./connection.ts";
import { ackWaitMs, JournalReader } from "./journal-reader.ts";
import { ensureStream } from "./stream.ts";

/** A batch is below what a server takes (1 MiB) unless it was told otherwise. */
const maxBatchBytes = 768 * 1024;
/** The most bytes whose storing nobody has confirmed yet. */
const maxInFlightBytes = 64 * 1024 * 1024;
/** For how long nothing is tried after a failure. */
const restMs = 1000;
/** How often the stream is looked at. */
const lookMs = 1000;
/** What a message takes in a stream beside its content, at most: subject, headers, and what the server adds. */
const besideBatchBytes = 512;
/** A stream counts as full a little before it is: nats-server 2.9 makes room for what just fits by dropping what is oldest. */
const fullShare = 0.97;
const maxAckPending = 20_000;

/** Codes of JetStream's API errors by which a stream says that it takes no more. */
const fullCodes: ReadonlySet<number> = new Set([10_023, 10_047, 10_077, 10_122]);

export interface NatsJournalOptions {
  /** The connection while it is up. */
  readonly connection: () => NatsConnection | undefined;
  readonly config: NatsConfig;
  readonly host: Host;
}

export interface NatsJournal extends Journal {
  /** To be called when the connection is there. */
  connected(nats: NatsConnection): Promise<void>;
  close(): void;
}

/**
 * A journal in a stream of JetStream, which hubs share: what one has stored another may deliver. Each reader is a durable
 * consumer; a message goes when all of them have done with it, and only a stream whose consumers are all there is
 * written, since what has no consumer would be thrown away.
 */
export function createNatsJournal({ connection, config, host }: NatsJournalOptions): NatsJournal {
  const { timeout, journal: wish } = config;
  const subject = `weir.journal.${wish.name}`;
  const readers = new Map<string, JournalReader>();
  let client: JetStreamClient | undefined;
  let manager: JetStreamManager | undefined;
  let used = false;
  let isReady = false;
  let preparing: Promise<void> | undefined;
  let state: JournalState | undefined;
  let inFlightBytes = 0;
  let resting: { readonly refusal: JournalRefusal; readonly untilMs: number } | undefined;
  let failing = false;

  const rest = (refusal: JournalRefusal, error: unknown): JournalRefusal => {
    resting = { refusal, untilMs: host.now() + restMs };
    if (!failing) host.log.warn({ stream: wish.name, reason: textOf(error) }, `the journal is ${refusal}`);
    failing = true;
    return refusal;
  };

  /** Makes the stream and the consumers of all readers, as far as they are missing. */
  const makeAll = async (using: JetStreamManager): Promise<void> => {
    const { RetentionPolicy, AckPolicy, DeliverPolicy } = await import("@nats-io/jetstream");
    await ensureStream(using, {
      name: wish.name,
      subjects: [subject],
      retention: RetentionPolicy.Interest,
      maxBytes: wish.maxSize,
      maxAgeMs: wish.maxAge,
      replicas: wish.replicas,
      description: "records of Weir on their way to exporters",
    });
    for (const reader of readers.keys()) {
      await using.consumers.add(wish.name, {
        durable_name: consumerName(reader),
        description: reader,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: ackWaitMs * 1_000_000,
        max_ack_pending: maxAckPending,
        inactive_threshold: wish.maxAge * 1_000_000,
      });
    }
  };
  const prepare = async (): Promise<void> => {
    const known = readers.size;
    if (manager === undefined || connection() === undefined) return;
    try {
      await makeAll(manager);
      isReady = known === readers.size;
    } catch (error) {
      rest("away", error);
    }
  };
  /** Prepares unless that goes on already: then again after it, since there may be more readers. */
  const prepareSoon = (): void => {
    isReady = false;
    preparing = (preparing ?? Promise.resolve()).then(prepare);
  };

  const look = async (): Promise<void> => {
    if (!used || manager === undefined || connection() === undefined) return;
    if (!isReady) prepareSoon();
    try {
      const info = await manager.streams.info(wish.name);
      const capacity = info.config.max_bytes > 0 ? info.config.max_bytes : Infinity;
      state = { bytes: info.state.bytes, capacity };
      // A stream that somebody has deleted and made again has no consumers.
      if (info.state.consumer_count < readers.size) prepareSoon();
    } catch {
      isReady = false;
    }
  };
  host.every(lookMs, look);
  host.every(ackWaitMs / 3, () => {
    for (const reading of readers.values()) reading.keepAlive();
  });

  const refusal = (): JournalRefusal | undefined => {
    if (!isReady || connection() === undefined) return "away";
    if (resting !== undefined && host.now() < resting.untilMs) return resting.refusal;
    if (inFlightBytes > maxInFlightBytes) return "full";
    return state !== undefined && state.bytes + inFlightBytes > state.capacity * fullShare ? "full" : undefined;
  };

  const consumerOf = async (reader: string): Promise<Consumer | undefined> => {
    if (!isReady || connection() === undefined) return undefined;
    return await client?.consumers.get(wish.name, consumerName(reader));
  };

  return {
    maxBatchBytes,
    refusal,
    async append(batch, id) {
      const refused = refusal();
      if (refused !== undefined) return refused;
      inFlightBytes += batch.length + besideBatchBytes;
      try {
        await client!.publish(subject, batch, { msgID: id, timeout });
        if (state !== undefined) state = { ...state, bytes: state.bytes + batch.length + besideBatchBytes };
        failing = false;
        return "stored";
      } catch (error) {
        const { JetStreamApiError } = await import("@nats-io/jetstream");
        const isFull = error instanceof JetStreamApiError && fullCodes.has(error.code);
        if (!isFull) isReady = false;
        return rest(isFull ? "full" : "away", error);
      } finally {
        inFlightBytes -= batch.length + besideBatchBytes;
      }
    },
    read(reader, signal) {
      used = true;
      let reading = readers.get(reader);
      if (reading === undefined) {
        reading = new JournalReader({ consumer: () => consumerOf(reader), host });
        readers.set(reader, reading);
        prepareSoon();
      }
      return reading.read(signal);
    },
    state: () => state,
    async connected(nats) {
      const { jetstream, jetstreamManager } = await import("@nats-io/jetstream");
      client = jetstream(nats, { timeout });
      manager = await jetstreamManager(nats, { timeout, checkAPI: false });
      if (used) prepareSoon();
    },
    close() {
      for (const reading of readers.values()) reading.close();
    },
  };
}

/** The name of a reader's consumer: what names may not hold is escaped, so that no two readers share one. */
export function consumerName(reader: string): string {
  return `weir-${reader.replace(/[^A-Za-z0-9-]/g, (c) => `_${c.charCodeAt(0).toString(16)}_`)}`;
}
