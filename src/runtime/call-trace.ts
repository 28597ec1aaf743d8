/** Tells of calls to adapters. */
export interface CallTrace {
  /** Makes a call, and answers what it answers. */
  call<T>(adapter: string, capability: string, ask: () => T | Promise<T>): T | Promise<T>;
}

/** Two that are told of the same calls, the first of them around the second. */
export function nested(outer: CallTrace | undefined, inner: CallTrace): CallTrace {
  if (outer === undefined) return inner;
  return {
    call: (adapter, capability, ask) => outer.call(adapter, capability, () => inner.call(adapter, capability, ask)),
  };
}
