/** How many slots a segment has at first, and before it is split. Powers of 2. */
const fewestSlots = 8;
const mostSlots = 1 << 13;
/** The most bits that tell segments apart; a segment that is still full then grows. */
const maxDepth = 16;

/** A part of the index: keys whose hashes begin with the same `depth` bits. */
interface Segment {
  depth: number;
  /** Two numbers a slot: the place and 1, or 0 where the slot is empty; and the hash of the key there. */
  slots: Int32Array;
  used: number;
}

/**
 * Finds the places of keys. Extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979) over segments of open
 * addressing: a segment that is full is split in two by one more bit of its keys' hashes, so that however many keys there
 * are, no step moves more than some thousands of them. A `Map` moves all at once, which takes 75 ms for half a million.
 */
export class KeyIndex {
  /** The keys by their places. */
  readonly #keys: readonly (string | undefined)[];
  /** By the first bits of a hash, as many as the deepest segment has. A segment of fewer bits stands here several times. */
  #directory: Segment[] = [newSegment(0, fewestSlots)];
  #depth = 0;

  constructor(keys: readonly (string | undefined)[]) {
    this.#keys = keys;
  }

  /** The place of a key, or -1. */
  find(key: string, hash: number): number {
    const { slots } = this.#segmentOf(hash);
    const mask = slots.length - 1;
    for (let i = (hash << 1) & mask; ; i = (i + 2) & mask) {
      const place = slots[i]! - 1;
      if (place < 0 || (slots[i + 1] === hash && this.#keys[place] === key)) return place;
    }
  }

  /** Adds a key that is not there. */
  add(place: number, hash: number): void {
    let segment = this.#segmentOf(hash);
    while (segment.used * 10 >= segment.slots.length * 3) {
      if (segment.slots.length >= 2 * mostSlots && segment.depth < maxDepth) this.#split(segment, hash);
      else grow(segment);
      segment = this.#segmentOf(hash);
    }
    put(segment, place, hash);
  }

  /** Removes a key that is there. Those behind it that stood out of their places move up, so that no gap hides one. */
  remove(place: number, hash: number): void {
    const segment = this.#segmentOf(hash);
    const { slots } = segment;
    const mask = slots.length - 1;
    let gap = (hash << 1) & mask;
    while (slots[gap] !== place + 1) gap = (gap + 2) & mask;
    for (let i = (gap + 2) & mask; slots[i] !== 0; i = (i + 2) & mask) {
      const home = (slots[i + 1]! << 1) & mask;
      if (((i - home) & mask) < ((i - gap) & mask)) continue;
      slots[gap] = slots[i]!;
      slots[gap + 1] = slots[i + 1]!;
      gap = i;
    }
    slots[gap] = 0;
    segment.used--;
  }

  #segmentOf(hash: number): Segment {
    return this.#directory[this.#depth === 0 ? 0 : hash >>> (32 - this.#depth)]!;
  }

  /** Makes two segments of the one that a hash belongs to. */
  #split(segment: Segment, hash: number): void {
    if (segment.depth === this.#depth) {
      this.#directory = this.#directory.flatMap((each) => [each, each]);
      this.#depth++;
    }
    const depth = segment.depth + 1;
    const halves = [newSegment(depth, mostSlots), newSegment(depth, mostSlots)] as const;
    eachIn(segment, (place, own) => put(halves[((own >>> (32 - depth)) & 1) as 0 | 1], place, own));
    const span = 1 << (this.#depth - depth);
    const first = (hash >>> (32 - this.#depth)) & ~(2 * span - 1);
    for (let i = 0; i < 2 * span; i++) this.#directory[first + i] = halves[i < span ? 0 : 1];
  }
}

function newSegment(depth: number, slots: number): Segment {
  return { depth, slots: new Int32Array(2 * slots), used: 0 };
}

function grow(segment: Segment): void {
  const larger = newSegment(segment.depth, segment.slots.length);
  eachIn(segment, (place, hash) => put(larger, place, hash));
  segment.slots = larger.slots;
}

function put(segment: Segment, place: number, hash: number): void {
  const { slots } = segment;
  const mask = slots.length - 1;
  let i = (hash << 1) & mask;
  while (slots[i] !== 0) i = (i + 2) & mask;
  slots[i] = place + 1;
  slots[i + 1] = hash;
  segment.used++;
}

function eachIn({ slots }: Segment, visit: (place: number, hash: number) => void): void {
  for (let i = 0; i < slots.length; i += 2) if (slots[i] !== 0) visit(slots[i]! - 1, slots[i + 1]!);
}

/**
 * The hash of a text from a character on: 32 bits, all of which depend on all characters. What `seed` is must not be
 * known to who chooses keys, or they could choose some that stand in each other's way.
 */
export function hashOf(text: string, from: number, seed: number): number {
  let hash = seed;
  for (let i = from; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 13);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
