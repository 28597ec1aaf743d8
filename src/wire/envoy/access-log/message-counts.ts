import type { Bag } from "../../../attributes/bag.ts";
import { FieldIndex, want } from "../../protobuf/field-index.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";

/** What Envoy's filter grpc_stats leaves of a call where `emit_filter_state` is set, and under which name. */
const filterName = "envoy.filters.http.grpc_stats";
const filterObject = "/envoy.extensions.filters.http.grpc_stats.v3.FilterObject";

/** Puts into a bag how many messages a call of gRPC had. */
export class MessageCounts {
  readonly #counts = new FieldIndex({ 1: want.varint, 2: want.varint });

  fill(bag: Bag, { request, response }: EntrySlots, entry: Entry): void {
    if (request.messages < 0 && response.messages < 0) return;
    const { repeated, repeatedEnd } = entry.common;
    for (let i = 0; i < repeatedEnd; i += 3) {
      if (repeated[i] !== 21) continue;
      const pair = entry.readPair(repeated, i);
      if (entry.text(pair, 1) !== filterName || !pair.has(2)) continue;
      pair.read(entry.reader, pair.start(2), pair.end(2));
      if (!entry.text(pair, 1).endsWith(filterObject)) continue;
      const counts = this.#counts;
      // Where both counts are 0, an Any has no value.
      if (pair.has(2)) counts.read(entry.reader, pair.start(2), pair.end(2));
      else counts.clear();
      if (request.messages >= 0) bag.set(request.messages, entry.number(counts, 1));
      if (response.messages >= 0) bag.set(response.messages, entry.number(counts, 2));
    }
  }
}
