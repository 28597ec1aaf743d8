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
  /** What was read and whether it was there: see {@link AnswerCache.find}. */
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

  /** Lists the slots that were read, each with what is known of it in two bits; gives a hash of the list. */
  #gather({ reads }: Decision, bag: Bag): number {
    const { slots } = bag.layout;
    if (this.#references.length < slots.length) this.#references = new Int32Array(slots.length * 2);
    let hash = 0;
    let count = 0;
    for (let word = 0; word < reads.slots.length; word++) {
      for (let bits = reads.slots[word]!; bits !== 0; bits &= bits - 1) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits);
        const { map } = slots[index]!;
        const state = (bag.isGiven(index) ? 1 : 0) | (map !== undefined && !bag.isGiven(map) ? 2 : 0);
        const reference = index * 4 + state;
        this.#references[count++] = reference;
        hash = Math.imul(hash ^ reference, 0x9e3779b1);
        hash = (hash << 13) | (hash >>> 19);
      }
    }
    this.#count = count;
    return hash;
  }
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
