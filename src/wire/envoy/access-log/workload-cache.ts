import { hashBytes, sameBytes, viewOf } from "../../mixer/word-hash.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { readStruct } from "../../protobuf/struct.ts";
import { workloadOf, type Workload } from "./workload.ts";

/** Larger structures are read each time. */
const maxBytes = 4096;

interface Place {
  readonly bytes: DataView;
  readonly workload: Workload;
}

/** Reads the metadata of peers and remembers those of late by their bytes: a proxy has few peers. Its size is fixed. */
export class WorkloadCache {
  readonly #places: (Place | undefined)[];

  /** `places` is how many are kept: a power of 2. */
  constructor(places = 512) {
    this.#places = new Array<Place | undefined>(places).fill(undefined);
  }

  /** The workload that a google.protobuf.Struct between two positions of the reader's buffer, whose whole memory `view` shows, tells of. */
  read(reader: Reader, view: DataView, start: number, end: number): Workload {
    const from = reader.buffer.byteOffset + start;
    const to = reader.buffer.byteOffset + end;
    const hash = hashBytes(view, from, to) & (this.#places.length - 1);
    const place = this.#places[hash];
    if (place?.bytes.byteLength === end - start && sameBytes(view, from, to, place.bytes, 0)) return place.workload;
    reader.pos = start;
    reader.end = end;
    const workload = workloadOf(readStruct(reader));
    if (end - start <= maxBytes)
      this.#places[hash] = { bytes: viewOf(Uint8Array.from(reader.buffer.subarray(start, end))), workload };
    return workload;
  }
}
