import type { PolicyStore } from "../../sdk/index.ts";
import { WeirError } from "../../util/weir-error.ts";
import { afterPush, afterRollback, decodeCurrent, encodeCurrent, type Current } from "./current.ts";
import { encodeSet, type PushedSet } from "./pushed-set.ts";

/** What a push or a rollback has done. */
export interface Moved {
  readonly version: string;
  /** What held before; `undefined`: nothing did. */
  readonly from: string | undefined;
  /** Why sets that nothing leads to any more could not be dropped; they only take room. */
  readonly litter: string | undefined;
}

/** Makes a set the one that holds: first it is stored, then one value is replaced, so that no hub ever sees half of it. */
export async function push(store: PolicyStore, set: PushedSet, now: () => number): Promise<Moved> {
  const bytes = await bytesFor(store, set);
  await store.prepare();
  return move(store, async (current) => {
    // After the look at what holds: a push before it may just have dropped this set.
    await store.putSet(set.version, bytes);
    return afterPush(current, set.version, new Date(now()).toISOString());
  });
}

/** A set as the store keeps it. Throws WEIR_PUSH where it is too large for the store. */
export async function bytesFor(store: PolicyStore, set: PushedSet): Promise<Uint8Array> {
  const bytes = await encodeSet(set);
  if (bytes.length <= store.maxBytes()) return bytes;
  const message = `the policies are ${bytes.length} bytes compressed; the store takes ${store.maxBytes()}`;
  throw new WeirError("WEIR_PUSH", message);
}

/** Makes the set before the one that holds, or one of those before it, the one that holds. */
export async function rollback(store: PolicyStore, to: string | undefined, now: () => number): Promise<Moved> {
  return move(store, (current) => {
    const next = current && afterRollback(current, to, new Date(now()).toISOString());
    if (next !== undefined) return Promise.resolve(next);
    throw new WeirError("WEIR_PUSH", whyNoneBefore(current, to));
  });
}

function whyNoneBefore(current: Current | undefined, to: string | undefined): string {
  if (current === undefined) return "no policies were pushed yet";
  const before = current.before.map(({ version }) => version).join(", ");
  if (before === "") return `there is no set before ${current.version}, which holds`;
  return to === current.version
    ? `${to} holds already; kept are ${before}`
    : `${to} is none of the sets that are kept: ${before}`;
}

async function move(store: PolicyStore, next: (current: Current | undefined) => Promise<Current>): Promise<Moved> {
  const found = await store.current();
  const current = found && decodeCurrent(found.bytes);
  const following = await next(current);
  if (!(await replace(store, encodeCurrent(following), found?.revision ?? 0)))
    throw new WeirError("WEIR_PUSH", "somebody else changed the policies at the same time: look, and try again");
  // What holds has changed: nothing from here on makes it undone.
  const litter = await drop(store, current, versionsOf(following)).then(() => undefined, textOf);
  return { version: following.version, from: current?.version, litter };
}

/**
 * Replaces what holds. Where the answer is lost, what is there tells whether it was replaced; throws WEIR_PUSH where
 * that cannot be read either.
 */
async function replace(store: PolicyStore, bytes: Uint8Array, revision: number): Promise<boolean> {
  try {
    return await store.replace(bytes, revision);
  } catch (error) {
    const found = await store.current().catch(() => {
      const message = `${textOf(error)}: whether the policies changed is not known, "weir versions" shows which hold`;
      throw new WeirError("WEIR_PUSH", message);
    });
    if (found !== undefined && Buffer.compare(found.bytes, bytes) === 0) return true;
    throw error;
  }
}

async function drop(store: PolicyStore, before: Current | undefined, kept: ReadonlySet<string>): Promise<void> {
  for (const version of before === undefined ? [] : versionsOf(before))
    if (!kept.has(version)) await store.dropSet(version);
}

function versionsOf(current: Current): ReadonlySet<string> {
  return new Set([current, ...current.before].map(({ version }) => version));
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
