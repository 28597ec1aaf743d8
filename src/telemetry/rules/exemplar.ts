import type { Bag } from "../../attributes/bag.ts";
import type { Layout } from "../../attributes/layout.ts";
import { traceFormats } from "../../attributes/trace-context.ts";
import { TraceReader } from "../../attributes/trace-reader.ts";
import type { Exemplar } from "../../sdk/index.ts";

/** Reads which trace a request is of, unless its caller does not keep it. */
export function exemplarReader(layout: Layout): (bag: Bag) => Exemplar | undefined {
  const reader = new TraceReader(layout, traceFormats);
  return (bag) => {
    const context = reader.read(bag);
    if (context?.ids === undefined || context.sampled === false) return undefined;
    return { traceId: context.ids.trace, spanId: context.ids.span };
  };
}
