import type { DescriptorForm } from "../../../runtime/limits/descriptor-form.ts";
import type { RateLimitRequest } from "./rate-limit-request.ts";
import { areWords, finished, hashWords, putWords, wordsOf } from "./words.ts";

/** The most descriptors that are kept: with what is known of them some 12 MB. */
const most = 32_768;

/** How many numbers of 32 bits a place has: the lengths of the domain and of the descriptor, and then the words of both. */
const placeWords = 48;
const lengthsWords = 1;

/**
 * Where the first place, and the first eight slots, begin: large blocks of memory begin 16 bytes behind a line of the
 * processor's caches (glibc), and so each place and each eight slots lie in as few lines as they can. Elsewhere this is
 * worth nothing and costs nothing.
 */
const first = 12;

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
  #domainHash = 0;
  /** Of the descriptors of the request that {@link DescriptorForms.findAll} looked for last: their hashes, and then their places. */
  readonly #found: number[] = [];
  /** Of the descriptor that was looked for last; where it is too long to be kept, its hash is not known. */
  #hash = 0;
  #isTooLong = false;

  /** `places` is how many descriptors are kept: a power of 2, from 8 to 32,768. */
  constructor(places = most) {
    this.#sets = places / ways;
    this.#slots = new Int32Array(first + places);
    this.#words = new Int32Array(first + places * placeWords);
    this.#used = new Uint8Array(this.#sets);
    this.#met = new Int32Array(this.#sets);
  }

  /**
   * To be called before the descriptors of a request are looked for. The request's buffer begins at `offset` of the memory
   * that `view` shows.
   */
  begin(view: DataView, offset: number, { domainStart, domainEnd }: RateLimitRequest): void {
    this.#domainHash = hashWords(view, offset + domainStart, offset + domainEnd, 0);
  }

  /**
   * Whether all descriptors of the request that was begun with are there; their places are told by
   * {@link DescriptorForms.place} then. Thousands of descriptors are more than the processor's caches hold. So this looks
   * for all of them step by step: what one step reads of memory is under way for all before the next one waits for it.
   */
  findAll(view: DataView, offset: number, request: RateLimitRequest): boolean {
    const domain = offset + request.domainStart;
    const domainEnd = offset + request.domainEnd;
    const { starts, ends, count } = request;
    const descriptorAt = lengthsWords + wordsOf(domainEnd - domain);
    const [slots, words, found] = [this.#slots, this.#words, this.#found];
    for (let i = 0; i < count; i++) {
      const [start, end] = [offset + starts[i]!, offset + ends[i]!];
      if (descriptorAt + wordsOf(end - start) > placeWords) return false;
      const hash = finished(hashWords(view, start, end, this.#domainHash));
      if (slots[first + (hash & (this.#sets - 1)) * ways] === free) return false;
      found[i] = hash;
    }
    for (let i = 0; i < count; i++) {
      const place = this.#likely(found[i]!, lengthsOf(domainEnd - domain, ends[i]! - starts[i]!));
      if (place < 0) return false;
      found[i] = place;
    }
    for (let i = 0; i < count; i++) {
      const kept = wordOf(found[i]!);
      if (!areWords(words, kept + descriptorAt, view, offset + starts[i]!, offset + ends[i]!)) return false;
      if (!areWords(words, kept + lengthsWords, view, domain, domainEnd)) return false;
    }
    return true;
  }

  /** The place that {@link DescriptorForms.findAll} has found a descriptor in. */
  place(index: number): number {
    return this.#found[index]!;
  }

  /** The first place where what has this hash may be, and has these lengths, or -1. It counts as asked for. */
  #likely(hash: number, lengths: number): number {
    const set = hash & (this.#sets - 1);
    const tag = tagOf(hash);
    for (let way = 0; way < ways; way++) {
      const slot = this.#slots[first + set * ways + way]!;
      if ((slot & ~placeMask) !== tag || slot === free) continue;
      const place = (slot & placeMask) - 1;
      if (this.#words[wordOf(place)] !== lengths) continue;
      this.#use(set, way);
      return place;
    }
    return -1;
  }

  /** The place of a descriptor of the request that was begun with, or -1. */
  find(view: DataView, offset: number, request: RateLimitRequest, index: number): number {
    const domain = offset + request.domainStart;
    const domainEnd = offset + request.domainEnd;
    const start = offset + request.starts[index]!;
    const end = offset + request.ends[index]!;
    const descriptorAt = lengthsWords + wordsOf(domainEnd - domain);
    this.#isTooLong = descriptorAt + wordsOf(end - start) > placeWords;
    if (this.#isTooLong) return -1;
    const hash = finished(hashWords(view, start, end, this.#domainHash));
    this.#hash = hash;
    const lengths = lengthsOf(domainEnd - domain, end - start);
    const tag = tagOf(hash);
    const set = hash & (this.#sets - 1);
    const slots = this.#slots;
    for (let way = 0; way < ways; way++) {
      const slot = slots[first + set * ways + way]!;
      if ((slot & ~placeMask) !== tag || slot === free) continue;
      const place = (slot & placeMask) - 1;
      const words = this.#words;
      const kept = wordOf(place);
      if (words[kept] !== lengths) continue;
      if (!areWords(words, kept + descriptorAt, view, start, end)) continue;
      if (!areWords(words, kept + lengthsWords, view, domain, domainEnd)) continue;
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
  keep(
    view: DataView,
    offset: number,
    request: RateLimitRequest,
    index: number,
    form: DescriptorForm,
    attributes: readonly string[],
  ): void {
    const domain = offset + request.domainStart;
    const domainEnd = offset + request.domainEnd;
    const start = offset + request.starts[index]!;
    const end = offset + request.ends[index]!;
    const set = this.#hash & (this.#sets - 1);
    const freeWay = this.#freeWay(set);
    const at = first + set * ways + (freeWay >= 0 ? freeWay : this.#idleWay(set));
    // There are as many places as slots.
    const place = freeWay >= 0 ? this.#given++ : (this.#slots[at]! & placeMask) - 1;
    this.#slots[at] = tagOf(this.#hash) | (place + 1);
    this.#forms[place] = form;
    this.#attributes[place] = attributes;
    const kept = wordOf(place);
    this.#words[kept] = lengthsOf(domainEnd - domain, end - start);
    putWords(this.#words, kept + lengthsWords, view, domain, domainEnd);
    putWords(this.#words, kept + lengthsWords + wordsOf(domainEnd - domain), view, start, end);
  }

  #freeWay(set: number): number {
    for (let way = 0; way < ways; way++) if (this.#slots[first + set * ways + way] === free) return way;
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

/** Where the words of a place begin. */
function wordOf(place: number): number {
  return first + place * placeWords;
}

/** What tells most descriptors apart whose slots are the same, without a look at their bytes. */
function tagOf(hash: number): number {
  return hash & ~placeMask;
}

function lengthsOf(domain: number, descriptor: number): number {
  return (domain << 16) | descriptor;
}
