import { randomUUID } from "node:crypto";
import type { Host } from "weir/sdk";
import type { Store } from "./connection.ts";

/** How often a hub says that it is there. */
const everyMs = 2000;

/** How long one is counted that says nothing any more: three times may fail. */
const rememberedMs = 7000;

/** The hubs that share a store, as they see each other there. */
export interface Presence {
  /** How many were there when the store last answered, this one included; `undefined` before it ever has. */
  peers(): number | undefined;
  leave(): Promise<void>;
}

/**
 * Lets the hub be seen by the others that share the store and the prefix, and counts them. While the store is away the
 * last count holds: nobody can tell who has come or gone.
 */
export async function attend(store: Store, prefix: string, host: Host): Promise<Presence> {
  const hub = randomUUID();
  // No counter is called so: behind the prefix of theirs comes a brace.
  const key = `${prefix}hubs`;
  let seen: number | undefined;
  const beat = async (): Promise<void> => {
    try {
      seen = Math.max(1, await store.attend(key, hub, rememberedMs));
    } catch (error) {
      host.log.debug({ err: error }, "the other hubs cannot be seen");
    }
  };
  await beat();
  host.every(everyMs, beat);
  return {
    peers: () => seen,
    leave: () =>
      store.leave(key, hub).catch((error: unknown) => host.log.debug({ err: error }, "the hub could not take leave")),
  };
}
