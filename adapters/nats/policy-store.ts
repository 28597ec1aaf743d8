import type { KV } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import type { HubSaid, PolicyStore, PolicyStoreHost } from "weir/sdk";
import type { NatsConfig } from "./config.ts";
import { openConnection, textOf } from "./connection.ts";

/** How long what a hub said of itself is kept. */
const hubTtlMs = 30_000;

/** The most hubs whose words are read from the bucket, and how many of them at once. */
const maxHubs = 10_000;
const readsAtOnce = 64;

/** What a message has beside the value: headers and subject. */
const headroom = 4096;

const currentKey = "current";
const setKey = (version: string): string => `set.${version}`;

interface Buckets {
  readonly nats: NatsConnection;
  readonly policies: KV;
  /** Apart from the policies, so that a hub needs no permission to write there. */
  readonly hubs: KV;
}

/** Pushed policies in a key-value bucket: `current`, and a key for each set. Hubs speak in a second bucket, `NAME_HUBS`. */
export async function openPolicyStore(config: NatsConfig, host: PolicyStoreHost): Promise<PolicyStore> {
  const { Kvm } = await import("@nats-io/kv");
  const { jetstream, jetstreamManager, JetStreamApiCodes, JetStreamApiError, StorageType } =
    await import("@nats-io/jetstream");
  const { bucket, replicas } = config.policies;
  const hubsBucket = `${bucket}_HUBS`;
  const hubPrefix = `$KV.${hubsBucket}.`;
  let open: Promise<Buckets> | undefined;
  let watching: Awaited<ReturnType<KV["watch"]>> | undefined;

  const watch = async ({ nats, policies }: Buckets): Promise<void> => {
    // The API answers to those who may not, or where there is no bucket, only with silence or an error: it is tried again.
    const changes = await policies.watch({ key: currentKey, include: "updates" });
    if (isClosed || connection.current() !== nats || watching !== undefined) return changes.stop();
    watching = changes;
    void follow(changes);
  };
  const follow = async (changes: NonNullable<typeof watching>): Promise<void> => {
    try {
      for await (const _ of changes) host.changed?.();
    } catch (error) {
      host.log.debug({ bucket, reason: textOf(error) }, "the bucket is not watched any more");
    }
    if (watching === changes) watching = undefined;
  };
  let isClosed = false;
  /** A watch that begins: its timers outlive a connection that is closed meanwhile. */
  let starting: Promise<void> | undefined;
  const watchAgain = (buckets: Buckets): void => {
    if (host.changed === undefined || watching !== undefined || starting !== undefined) return;
    starting = watch(buckets)
      .catch((error: unknown) => host.log.debug({ bucket, reason: textOf(error) }, "the bucket is not watched"))
      .finally(() => (starting = undefined));
  };
  const bucketsOn = async (nats: NatsConnection): Promise<Buckets> => {
    const kvm = new Kvm(jetstream(nats, { timeout: config.timeout, checkAPI: false }));
    return { nats, policies: await kvm.open(bucket), hubs: await kvm.open(hubsBucket) };
  };
  const connection = await openConnection(config, host, (nats) => {
    watching?.stop();
    watching = undefined;
    // Nothing is asked of the server for it.
    open = bucketsOn(nats);
    host.changed?.();
  });
  const buckets = async (): Promise<Buckets> => {
    if (connection.current() === undefined || open === undefined)
      throw new Error(`nats is away: ${connection.reason()}`);
    return open;
  };
  /** Tells what each hub said last, as the bucket has it. Word by word: all of them together may be large. */
  const tellKept = async ({ nats, hubs }: Buckets, tell: (said: HubSaid) => void): Promise<void> => {
    const manager = await jetstreamManager(nats, { timeout: config.timeout, checkAPI: false });
    // Not by the bucket's history, whose end never comes where a hub speaks while it is read.
    const info = await manager.streams
      .info(`KV_${hubsBucket}`, { subjects_filter: `${hubPrefix}*` })
      .catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
        throw error;
      });
    const names = Object.keys(info?.state.subjects ?? {}).slice(0, maxHubs);
    for (let from = 0; from < names.length; from += readsAtOnce) {
      const some = names.slice(from, from + readsAtOnce).map((subject) => subject.slice(hubPrefix.length));
      for (const [i, entry] of (await Promise.all(some.map((hub) => hubs.get(hub)))).entries())
        if (entry?.operation === "PUT")
          tell({ hub: some[i]!, bytes: entry.value, agoMs: agoMs(entry.created, info?.ts) });
    }
  };
  return {
    async prepare() {
      const { nats } = await buckets();
      const manager = await jetstreamManager(nats, { timeout: config.timeout, checkAPI: false });
      const kvm = new Kvm(jetstream(nats, { timeout: config.timeout, checkAPI: false }));
      const wishes = [
        { name: bucket, description: "policies of Weir", history: 1 },
        { name: hubsBucket, description: "what hubs say of their policies", history: 1, ttl: hubTtlMs },
      ];
      for (const { name, ...wish } of wishes) {
        try {
          // A bucket that is there stays as an operator made it.
          await manager.streams.info(`KV_${name}`);
        } catch (error) {
          if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
          await kvm.create(name, { ...wish, replicas, storage: StorageType.File });
        }
      }
    },
    maxBytes: () => (connection.current()?.info?.max_payload ?? 1_048_576) - headroom,
    async current() {
      const all = await buckets();
      const entry = await all.policies.get(currentKey).catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
        throw error;
      });
      if (entry !== null) watchAgain(all);
      return entry?.operation === "PUT" ? { bytes: entry.value, revision: entry.revision } : undefined;
    },
    async replace(bytes, revision) {
      const { policies } = await buckets();
      try {
        if (revision === 0) await policies.create(currentKey, bytes);
        else await policies.update(currentKey, bytes, revision);
        return true;
      } catch (error) {
        const { StreamWrongLastSequence, StreamWrongLastSequenceUnknown } = JetStreamApiCodes;
        const codes: readonly number[] = [StreamWrongLastSequence, StreamWrongLastSequenceUnknown];
        if (error instanceof JetStreamApiError && codes.includes(error.code)) return false;
        throw error;
      }
    },
    async set(version) {
      const entry = await (await buckets()).policies.get(setKey(version));
      return entry?.operation === "PUT" ? entry.value : undefined;
    },
    async putSet(version, bytes) {
      await (await buckets()).policies.put(setKey(version), bytes);
    },
    async dropSet(version) {
      // Without a marker, which would stay for ever.
      const manager = await jetstreamManager((await buckets()).nats, { timeout: config.timeout, checkAPI: false });
      await manager.streams.purge(`KV_${bucket}`, { filter: `$KV.${bucket}.${setKey(version)}` });
    },
    async tell(hub, bytes) {
      await (await buckets()).hubs.put(hub, bytes);
    },
    async forget(hub) {
      await (await buckets()).hubs.purge(hub);
    },
    async hubs(heard) {
      const all = await buckets();
      // What a hub stores reaches a plain subscription too, as it is published, also where the bucket has lost its leader.
      const spoke = new Set<string>();
      const live = all.nats.subscribe(`${hubPrefix}*`, {
        callback(error, message) {
          if (error !== null) return host.log.warn({ reason: textOf(error) }, "what hubs say cannot be heard");
          const hub = message.subject.slice(hubPrefix.length);
          if (spoke.size < maxHubs) spoke.add(hub);
          // A marker of the bucket has an operation: it is forgotten.
          heard({ hub, bytes: message.headers?.has("KV-Operation") ? undefined : message.data, agoMs: 0 });
        },
      });
      try {
        // Asked on the same connection, after the subscription: nothing falls between the two.
        await tellKept(all, (said) => {
          if (!spoke.has(said.hub)) heard(said);
        });
      } catch (error) {
        live.unsubscribe();
        throw error;
      }
      return () => live.unsubscribe();
    },
    async close() {
      open = undefined;
      isClosed = true;
      await starting;
      watching?.stop();
      await connection.close();
    },
  };
}

/** How long ago something was stored: by the server's clock, where it says what time it has (2.10), else by ours. */
function agoMs(stored: Date, server: string | undefined): number {
  return Math.max(0, (server === undefined ? Date.now() : Date.parse(server)) - stored.getTime());
}
