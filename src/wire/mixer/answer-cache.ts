import type { Bag } from "../../attributes/bag.ts";
import type { Layout } from "../../attributes/layout.ts";
import type { Decision } from "../../runtime/decision.ts";
import type { CacheCounts } from "../../util/cache-counts.ts";

/** Larger answers are written anew each time. */
const maxBytes = 4096;

interface Entry {
  readonly layout: Layout;
  readonly globalWordCount: number;
  readonly code: number;
  readonly message: string;
  readonly validForMs: number;
  readonly validUses: number;
  /** What was read and whether it was there, in bits: see {@link AnswerCache.find}. */
  readonly references: Int32Array;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of answers given of late. Most answers say the same as one before: the same verdict, resting on the same
 * attributes. What else goes into the bytes (quotas, header operations, computed keys) makes an answer one of its own,
 * which is not kept. Its size is fixed; each answer has one place.
 */
export class AnswerCache implements CacheCounts {
  hits = 0;
  /** Only of answers that can be kept. */
  misses = 0;
  readonly #places: (Entry | undefined)[];
  #references = new Int32Array(64);
  #count = 0;
  #given = new Uint32Array(0);
  #layout: Layout | undefined;
  #maps: readonly MapKeys[] = [];
  #place = 0;

  /** `places` is how many answers are kept: a power of 2. */
  constructor(places = 1024) {
    this.#places = new Array<Entry | undefined>(places).fill(undefined);
  }

  /**
   * The answer for a decision, or `undefined` when it is not there. The bytes depend, beside the verdict, on each slot
   * that was read, on whether it holds something, and for the key of a map on whether the map is there.
   */
  find(decision: Decision, bag: Bag, globalWordCount: number): Uint8Array | undefined {
    this.#place = -1;
    if (!isPlain(decision)) return undefined;
    let hash = this.#gather(decision, bag) ^ Math.imul(globalWordCount, 0x85ebca6b) ^ decision.code;
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    this.#place = (hash ^ (hash >>> 13)) & (this.#places.length - 1);
    const bytes = this.#bytesFor(decision, bag, globalWordCount);
    if (bytes === undefined) this.misses++;
    else this.hits++;
    return bytes;
  }

  #bytesFor(decision: Decision, bag: Bag, globalWordCount: number): Uint8Array | undefined {
    const entry = this.#places[this.#place];
    if (
      entry === undefined ||
      entry.layout !== bag.layout ||
      entry.globalWordCount !== globalWordCount ||
      entry.code !== decision.code ||
      entry.validForMs !== decision.validForMs ||
      entry.validUses !== decision.validUses ||
      entry.message !== decision.message ||
      entry.references.length !== this.#count
    ) {
      return undefined;
    }
    for (let i = 0; i < this.#count; i++) if (entry.references[i] !== this.#references[i]) return undefined;
    return entry.bytes;
  }

  /** Keeps the answer for the decision that {@link AnswerCache.find} was just asked for, if it can be kept. */
  keep(decision: Decision, bag: Bag, globalWordCount: number, bytes: Uint8Array): void {
    if (this.#place < 0 || bytes.length > maxBytes) return;
    const { code, message, validForMs, validUses } = decision;
    const references = this.#references.slice(0, this.#count);
    const { layout } = bag;
    this.#places[this.#place] = {
      layout,
      globalWordCount,
      code,
      message,
      validForMs,
      validUses,
      references,
      bytes,
    };
  }

  /**
   * Puts down, in bits by slot, what was read, what of it the caller gave, and of which keys the map is missing. Gives a
   * hash of that.
   */
  #gather({ reads: { slots: read } }: Decision, bag: Bag): number {
    const { length } = read;
    if (this.#given.length !== length) this.#given = new Uint32Array(length);
    if (this.#references.length < length * 3) this.#references = new Int32Array(length * 3);
    const given = this.#given;
    const references = this.#references;
    bag.markGiven(given);
    let hash = 0;
    for (let word = 0; word < length; word++) {
      references[word] = read[word]!;
      references[length + word] = given[word]! & read[word]!;
      references[length * 2 + word] = 0;
    }
    for (const { slot, keys } of this.#mapsOf(bag.layout)) {
      if ((given[slot >>> 5]! & (1 << (slot & 31))) !== 0) continue;
      for (let word = 0; word < length; word++) references[length * 2 + word]! |= keys[word]! & read[word]!;
    }
    this.#count = length * 3;
    for (let i = 0; i < length * 3; i++) {
      hash = Math.imul(hash ^ references[i]!, 0x9e3779b1);
      hash = (hash << 13) | (hash >>> 19);
    }
    return hash;
  }

  #mapsOf(layout: Layout): readonly MapKeys[] {
    if (this.#layout !== layout) {
      this.#layout = layout;
      this.#maps = mapsOf(layout);
    }
    return this.#maps;
  }
}

/** A string map of a layout, and its keys in bits by slot. */
interface MapKeys {
  readonly slot: number;
  readonly keys: Int32Array;
}

function mapsOf({ slots, size }: Layout): readonly MapKeys[] {
  const maps = new Map<number, Int32Array>();
  for (const { index, map } of slots) {
    if (map === undefined) continue;
    let keys = maps.get(map);
    if (keys === undefined) maps.set(map, (keys = new Int32Array((size + 31) >>> 5)));
    keys[index >>> 5]! |= 1 << (index & 31);
  }
  return Array.from(maps, ([slot, keys]) => ({ slot, keys }));
}

/** Whether the answer says nothing that is not looked at when answers are compared. */
function isPlain({ quotas, requestHeaders, responseHeaders, http, reads }: Decision): boolean {
  return (
    http === undefined &&
    quotas.size === 0 &&
    requestHeaders.length === 0 &&
    responseHeaders.length === 0 &&
    reads.dynamic.length === 0 &&
    reads.whole.length === 0
  );
}
