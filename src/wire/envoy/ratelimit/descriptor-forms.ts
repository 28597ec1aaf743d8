import type { DescriptorForm } from "../../../runtime/limits/descriptor-form.ts";
import type { RateLimitRequest } from "./rate-limit-request.ts";

/** The most descriptors that are kept: with what is known of them some 12 MB. */
const most = 32_768;

/** How many numbers of 32 bits a place has: the lengths of the domain and of the descriptor, and then the words of both. */
const placeWords = 48;
const lengthsWords = 1;

/** How many places a descriptor may take. */
const ways = 8;

/** A slot is a place, in its lower bits, and the upper bits of the hash of what is there. */
const placeMask = 0xffff;
const free = 0;

/**
 * The forms of descriptors by their bytes and those of the domain. It is good for one snapshot. Its size is fixed.
 *
 * The hash of a descriptor names eight slots that lie side by side, each with the place of a descriptor. One that comes
 * new takes a free one; where none is left it takes one that was not asked for of late, and that only when it comes for
 * the second time: descriptors that never come again push out none that do. Bytes are compared whole, so who makes hashes
 * meet gains nothing but misses.
 *
 * Places are given in the order in which descriptors come: they fill as little memory as there can be, and those that
 * come together lie together.
 */
export class DescriptorForms {
  readonly #sets: number;
  /** {@link free}, or a place plus 1 and what {@link tagOf} gives of the hash. */
  readonly #slots: Int32Array;
  /** How many places were given: the next one. */
  #given = 0;
  readonly #forms: DescriptorForm[] = [];
  readonly #attributes: (readonly string[])[] = [];
  readonly #words: Int32Array;
  /** For each eight slots, a bit for each that was asked for of late. */
  readonly #used: Uint8Array;
  /** For each eight slots, the hash of the descriptor that last was not there. */
  readonly #met: Int32Array;
  /** The lengths and words of the descriptor that was looked for last, as its place has them; those of its domain come first. */
  readonly #read = new Int32Array(placeWords);
  /** How many bytes and words of {@link DescriptorForms.#read} the domain has, and its hash. */
  #domainBytes = 0;
  #domainWords = 0;
  #domainHash = 0;
  /** Of the descriptor that was looked for last; where it is too long to be kept, its hash is not known. */
  #hash = 0;
  #isTooLong = false;

  /** `places` is how many descriptors are kept: a power of 2, from 8 to 32,768. */
  constructor(places = most) {
    this.#sets = places / ways;
    this.#slots = new Int32Array(places);
    this.#words = new Int32Array(places * placeWords);
    this.#used = new Uint8Array(this.#sets);
    this.#met = new Int32Array(this.#sets);
  }

  /**
   * To be called before the descriptors of a request are looked for. The request's buffer begins at `offset` of the memory
   * that `view` shows.
   */
  begin(view: DataView, offset: number, { domainStart, domainEnd }: RateLimitRequest): void {
    this.#domainBytes = domainEnd - domainStart;
    this.#domainWords = wordsOf(this.#domainBytes);
    if (lengthsWords + this.#domainWords > placeWords) return;
    this.#domainHash = readWords(view, offset + domainStart, offset + domainEnd, this.#read, lengthsWords, 0);
  }

  /** The place of a descriptor of the request that was begun with, or -1. */
  find(view: DataView, offset: number, request: RateLimitRequest, index: number): number {
    const start = request.starts[index]!;
    const end = request.ends[index]!;
    const descriptorAt = lengthsWords + this.#domainWords;
    const count = descriptorAt + wordsOf(end - start);
    this.#isTooLong = count > placeWords;
    if (this.#isTooLong) return -1;
    const read = this.#read;
    const hash = finished(readWords(view, offset + start, offset + end, read, descriptorAt, this.#domainHash));
    this.#hash = hash;
    read[0] = (this.#domainBytes << 16) | (end - start);
    const tag = tagOf(hash);
    const set = hash & (this.#sets - 1);
    for (let way = 0; way < ways; way++) {
      const slot = this.#slots[set * ways + way]!;
      if ((slot & ~placeMask) !== tag || slot === free) continue;
      const place = (slot & placeMask) - 1;
      if (!areSame(this.#words, place * placeWords, read, count)) continue;
      this.#use(set, way);
      return place;
    }
    return -1;
  }

  /** The form of the descriptor in a place. */
  form(place: number): DescriptorForm {
    return this.#forms[place]!;
  }

  /** The attributes that its entries set: not every client may. */
  attributes(place: number): readonly string[] {
    return this.#attributes[place]!;
  }

  /** Whether the descriptor that was just not found is to be kept. */
  isWelcome(): boolean {
    if (this.#isTooLong) return false;
    const set = this.#hash & (this.#sets - 1);
    if (this.#freeWay(set) >= 0 || this.#met[set] === this.#hash) return true;
    this.#met[set] = this.#hash;
    return false;
  }

  /** Keeps the descriptor that was just not found and is welcome. */
  keep(form: DescriptorForm, attributes: readonly string[]): void {
    const set = this.#hash & (this.#sets - 1);
    const freeWay = this.#freeWay(set);
    const at = set * ways + (freeWay >= 0 ? freeWay : this.#idleWay(set));
    // There are as many places as slots.
    const place = freeWay >= 0 ? this.#given++ : (this.#slots[at]! & placeMask) - 1;
    this.#slots[at] = tagOf(this.#hash) | (place + 1);
    this.#forms[place] = form;
    this.#attributes[place] = attributes;
    // What is behind the end of a shorter one is not looked at: the lengths come first.
    this.#words.set(this.#read, place * placeWords);
  }

  #freeWay(set: number): number {
    for (let way = 0; way < ways; way++) if (this.#slots[set * ways + way] === free) return way;
    return -1;
  }

  /** One that was not asked for of late: there always is one. */
  #idleWay(set: number): number {
    const used = this.#used[set]!;
    return 31 - Math.clz32(~used & (used + 1));
  }

  /** Notes that a place was asked for. When all were, that one alone counts from then on. */
  #use(set: number, way: number): void {
    const used = this.#used[set]! | (1 << way);
    this.#used[set] = used === (1 << ways) - 1 ? 1 << way : used;
  }
}

/** What tells most descriptors apart whose slots are the same, without a look at their bytes. */
function tagOf(hash: number): number {
  return hash & ~placeMask;
}

/** How many words {@link readWords} makes of so many bytes. */
function wordsOf(bytes: number): number {
  return (bytes + 3) >>> 2;
}

/**
 * Reads bytes as words, which are compared and hashed four bytes at a step, and gives their hash. The last word is that
 * of the last four bytes, whichever of them the one before it has too. From words and length follow the bytes.
 */
function readWords(view: DataView, start: number, end: number, words: Int32Array, at: number, seed: number): number {
  let hash = seed ^ (end - start);
  let to = at;
  let word = 0;
  let from = start;
  for (; from <= end - 4; from += 4) {
    word = view.getInt32(from, true);
    words[to++] = word;
    hash = mixed(hash, word);
  }
  if (from < end) {
    if (end - start >= 4) word = view.getInt32(end - 4, true);
    else for (; from < end; from++) word = (word << 8) | view.getUint8(from);
    words[to] = word;
    hash = mixed(hash, word);
  }
  return hash;
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return (product << 13) | (product >>> 19);
}

/** The hash in whose every bit each bit of the last word has a say. */
function finished(hash: number): number {
  const product = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return product ^ (product >>> 13);
}

/** Whether the first `count` of some words are those of `kept` from `at` on. */
function areSame(kept: Int32Array, at: number, words: Int32Array, count: number): boolean {
  let i = 0;
  // Four at a step: what a loop does between its steps costs more than one of them.
  for (; i <= count - 4; i += 4) {
    const k = at + i;
    const low = (kept[k]! ^ words[i]!) | (kept[k + 1]! ^ words[i + 1]!);
    const high = (kept[k + 2]! ^ words[i + 2]!) | (kept[k + 3]! ^ words[i + 3]!);
    if ((low | high) !== 0) return false;
  }
  for (; i < count; i++) if (kept[at + i] !== words[i]) return false;
  return true;
}
