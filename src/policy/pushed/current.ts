import { z } from "zod";
import { WeirError } from "../../util/weir-error.ts";

const version = z.string().regex(/^[0-9a-f]{12}$/);
const pushed = z.strictObject({ version, time: z.iso.datetime() });

const shape = z.strictObject({ ...pushed.shape, before: z.array(pushed).max(100) });

/** Names the set that holds, and those that held before it: the last one first. */
export type Current = z.output<typeof shape>;

/** How many sets are kept to go back to. */
const maxBefore = 20;

/** Reads what a store has. Throws WEIR_PUSH, with what can be done, where that names no set. */
export function decodeCurrent(bytes: Uint8Array): Current {
  try {
    return shape.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch {
    const message = 'what is stored as "current" names no policy set: delete that key of the store, and push again';
    throw new WeirError("WEIR_PUSH", message);
  }
}

export function encodeCurrent(current: Current): Uint8Array {
  return Buffer.from(JSON.stringify(current));
}

/** What comes after a push. */
export function afterPush(current: Current | undefined, version: string, time: string): Current {
  if (current === undefined) return { version, time, before: [] };
  const { before, ...last } = current;
  const others = [last, ...before].filter((each) => each.version !== version);
  return { version, time, before: others.slice(0, maxBefore) };
}

/**
 * What comes after a rollback: to the set before, or to one of those that are kept. The sets that came after it are let
 * go, so that the next rollback leads further back. `undefined` where there is no such set.
 */
export function afterRollback({ before }: Current, to: string | undefined, time: string): Current | undefined {
  const at = to === undefined ? 0 : before.findIndex((each) => each.version === to);
  const found = before[at];
  return found && { version: found.version, time, before: before.slice(at + 1) };
}
