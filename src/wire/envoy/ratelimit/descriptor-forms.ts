import type { DescriptorForm } from "../../../runtime/limits/descriptor-form.ts";
import { hashBytes, sameBytes, viewOf } from "../../mixer/word-hash.ts";
import type { RateLimitRequest } from "./rate-limit-request.ts";

/** The most descriptors that are kept: with what is known of them some 12 MB. */
const most = 32_768;

/** How many bytes a place has: four for the lengths of the domain and of the descriptor, and then for both. */
const placeBytes = 192;
const lengthsBytes = 4;
const maxBytes = placeBytes - lengthsBytes;

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
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** For each eight slots, a bit for each that was asked for of late. */
  readonly #used: Uint8Array;
  /** For each eight slots, the hash of the descriptor that last was not there. */
  readonly #met: Int32Array;
  /** Of the descriptor that was looked for last; where it is too long to be kept, its hash is not known. */
  #hash = 0;
  #isTooLong = false;

  /** `places` is how many descriptors are kept: a power of 2, from 8 to 32,768. */
  constructor(places = most) {
    this.#sets = places / ways;
    this.#slots = new Int32Array(places);
    this.#bytes = new Uint8Array(places * placeBytes);
    this.#view = viewOf(this.#bytes);
    this.#used = new Uint8Array(this.#sets);
    this.#met = new Int32Array(this.#sets);
  }

  /**
   * The place of a descriptor of a request, or -1. The request's buffer begins at `offset` of the memory that `view`
   * shows.
   */
  find(view: DataView, offset: number, request: RateLimitRequest, index: number): number {
    const domain = offset + request.domainStart;
    const domainEnd = offset + request.domainEnd;
    const start = offset + request.starts[index]!;
    const end = offset + request.ends[index]!;
    const domainLength = domainEnd - domain;
    this.#isTooLong = domainLength + end - start > maxBytes;
    if (this.#isTooLong) return -1;
    const hash = Math.imul(hashBytes(view, domain, domainEnd), 0x9e3779b1) ^ hashBytes(view, start, end);
    this.#hash = hash;
    const lengths = lengthsOf(domainLength, end - start);
    const tag = tagOf(hash);
    const set = hash & (this.#sets - 1);
    for (let way = 0; way < ways; way++) {
      const slot = this.#slots[set * ways + way]!;
      if ((slot & ~placeMask) !== tag || slot === free) continue;
      const place = (slot & placeMask) - 1;
      const kept = place * placeBytes;
      if (this.#view.getInt32(kept, true) !== lengths) continue;
      if (!sameBytes(view, domain, domainEnd, this.#view, kept + lengthsBytes)) continue;
      if (!sameBytes(view, start, end, this.#view, kept + lengthsBytes + domainLength)) continue;
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
    buffer: Buffer,
    request: RateLimitRequest,
    index: number,
    form: DescriptorForm,
    attributes: readonly string[],
  ): void {
    const domain = buffer.subarray(request.domainStart, request.domainEnd);
    const descriptor = buffer.subarray(request.starts[index], request.ends[index]);
    const set = this.#hash & (this.#sets - 1);
    const freeWay = this.#freeWay(set);
    const at = set * ways + (freeWay >= 0 ? freeWay : this.#idleWay(set));
    // There are as many places as slots.
    const place = freeWay >= 0 ? this.#given++ : (this.#slots[at]! & placeMask) - 1;
    const kept = place * placeBytes;
    this.#slots[at] = tagOf(this.#hash) | (place + 1);
    this.#forms[place] = form;
    this.#attributes[place] = attributes;
    this.#view.setInt32(kept, lengthsOf(domain.length, descriptor.length), true);
    this.#bytes.set(domain, kept + lengthsBytes);
    this.#bytes.set(descriptor, kept + lengthsBytes + domain.length);
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

function lengthsOf(domain: number, descriptor: number): number {
  return (domain << 16) | descriptor;
}
