import type { HeaderOperation } from "../runtime/decision.ts";

/** What becomes of one header: whether what was there goes, and what is added. */
export interface HeaderChange {
  readonly replaces: boolean;
  readonly values: readonly string[];
}

const none: ReadonlyMap<string, HeaderChange> = new Map();

/** The changes of a list of operations, which is empty for most requests, by the header's name in lower case. */
export function headerChanges(operations: readonly HeaderOperation[]): ReadonlyMap<string, HeaderChange> {
  if (operations.length === 0) return none;
  const changes = new Map<string, HeaderChange>();
  for (const { operation, name, value } of operations) {
    const before = changes.get(name.toLowerCase());
    const change =
      operation === "append"
        ? { replaces: before?.replaces ?? false, values: [...(before?.values ?? []), value] }
        : { replaces: true, values: operation === "set" ? [value] : [] };
    changes.set(name.toLowerCase(), change);
  }
  return changes;
}

/** A header after a change, its values in one; `undefined` when it is gone. */
export function changed(
  name: string,
  before: string | undefined,
  change: HeaderChange | undefined,
): string | undefined {
  if (change === undefined) return before;
  const values = change.replaces || before === undefined ? change.values : [before, ...change.values];
  return values.length === 0 ? undefined : values.join(name === "cookie" ? "; " : ", ");
}
