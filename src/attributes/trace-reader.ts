import type { Bag } from "./bag.ts";
import type { Layout } from "./layout.ts";
import {
  readTraceContext,
  traceHeaders,
  type HeaderOf,
  type TraceContext,
  type TraceFormat,
  type TraceHeader,
} from "./trace-context.ts";

/**
 * Reads the trace context of the requests that a layout's bags hold, from their headers. It leaves no trace in what was
 * read of a bag: no decision rests on it.
 */
export class TraceReader {
  readonly #slots = new Map<TraceHeader, number>();
  readonly #formats: readonly TraceFormat[];
  readonly #header: HeaderOf;
  #bag: Bag | undefined;

  constructor(layout: Layout, formats: readonly TraceFormat[]) {
    const keys = layout.keysOf("request.headers");
    for (const header of traceHeaders) {
      const slot = keys?.get(header);
      if (slot !== undefined) this.#slots.set(header, slot);
    }
    this.#formats = formats;
    this.#header = (name) => {
      const slot = this.#slots.get(name);
      const value = slot === undefined ? undefined : this.#bag!.peek(slot);
      return typeof value === "string" ? value : undefined;
    };
  }

  read(bag: Bag): TraceContext | undefined {
    this.#bag = bag;
    return readTraceContext(this.#header, this.#formats);
  }
}
