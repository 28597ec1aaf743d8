import type { AttributeType } from "./value.ts";

/** Where one attribute, or one key of a string map, is held in a {@link Bag}. */
export interface Slot {
  /** The slot's position in a bag. */
  readonly index: number;
  /** The attribute's name. */
  readonly name: string;
  /** The attribute's type; `string` for the slot of a map's key. */
  readonly type: AttributeType;
  /** For the slot of a map's key: that key. */
  readonly key?: string;
  /** For the slot of a map's key: the position of the map's own slot. */
  readonly map?: number;
}

/** Attributes that are made of another one where a request does not bring them (see `derived.ts`), and of which. */
const sources: ReadonlyMap<string, string> = new Map([
  ["request.url_path", "request.path"],
  ["request.query_params", "request.path"],
]);

/** An attribute that conditions compare with many texts, and these, each known by its position here. */
export interface NumberedTexts {
  readonly slot: number;
  readonly texts: readonly string[];
}

/** So many texts an attribute is compared with at least, and so many of them are numbered at most. */
const minNumbered = 16;
const maxNumbered = 65_536;

/** An attribute of a layout that can be made of another one. */
export interface Derivation {
  /** Its own slot. */
  readonly slot: number;
  /** The slot of what it is made of. */
  readonly from: number;
}

/**
 * Which attributes and map keys a snapshot's rules read, each with its slot. Doors decode what has a slot and skip the
 * rest. A layout is filled while policies are compiled and does not change while it serves.
 */
export class Layout {
  readonly #slots: Slot[] = [];
  readonly #byName = new Map<string, number>();
  readonly #byKey = new Map<string, Map<string, number>>();
  readonly #whole = new Set<number>();
  readonly #derivations: Derivation[] = [];
  /** Slots that no rule reads by itself. */
  readonly #unread = new Set<number>();
  /** The texts that conditions compare the slot of an attribute with. */
  readonly #compared = new Map<number, Set<string>>();
  /** `null` until it is asked for. */
  #numbered: NumberedTexts | undefined | null = null;

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** The attributes that can be made of another one. */
  get derivations(): readonly Derivation[] {
    return this.#derivations;
  }

  /** How many slots there are. */
  get size(): number {
    return this.#slots.length;
  }

  /** The slot of an attribute, made when it is not there yet; with it that of the attribute that it can be made of. */
  declare(name: string, type: AttributeType): number {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      this.#unread.delete(known);
      return known;
    }
    const index = this.#add(name, type);
    const source = sources.get(name);
    if (source !== undefined) this.#derivations.push({ slot: index, from: this.declareUnread(source, "string") });
    return index;
  }

  /** The slot of an attribute that the hub looks at though no rule does. */
  declareUnread(name: string, type: AttributeType): number {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const index = this.#add(name, type);
    this.#unread.add(index);
    return index;
  }

  #add(name: string, type: AttributeType): number {
    const index = this.#slots.length;
    this.#slots.push({ index, name, type });
    this.#byName.set(name, index);
    return index;
  }

  /**
   * Says that an attribute which requests need not bring is made of others: of what an adapter knows. `from` are the slots
   * of attributes and keys that it is made of. They may be made of another attribute in turn, but by no adapter.
   */
  derive(slot: number, from: readonly number[]): void {
    this.#derivations.unshift(...from.map((each) => ({ slot, from: each })));
  }

  /** The slot of one key of a string map, made when it is not there yet; the map gets its own slot too. */
  declareKey(name: string, key: string): number {
    const map = this.declare(name, "string_map");
    let keys = this.#byKey.get(name);
    if (keys === undefined) this.#byKey.set(name, (keys = new Map()));
    const known = keys.get(key);
    if (known !== undefined) return known;
    const index = this.#slots.length;
    this.#slots.push({ index, name, type: "string", key, map });
    keys.set(key, index);
    return index;
  }

  /** Says that some rule reads the whole map (its size, a key that is computed): doors must keep all of it. */
  declareWhole(name: string): number {
    const map = this.declare(name, "string_map");
    this.#whole.add(map);
    return map;
  }

  /** Says that a condition compares the slot of an attribute with this text. */
  declareText(slot: number, text: string): void {
    const texts = this.#compared.get(slot);
    if (texts === undefined) this.#compared.set(slot, new Set([text]));
    else texts.add(text);
  }

  /**
   * The attribute of type string that conditions compare with the most texts, where these are many: what each of a
   * thousand services has its own rules by. A door that tells the texts apart by their bytes may put their numbers into
   * a bag, see `Bag.setNumbered`. To be asked for once the layout is filled: what comes later has no number.
   */
  get numbered(): NumberedTexts | undefined {
    if (this.#numbered === null) this.#numbered = this.#mostCompared();
    return this.#numbered;
  }

  #mostCompared(): NumberedTexts | undefined {
    let most = -1;
    let count = minNumbered - 1;
    for (const [slot, { size }] of this.#compared) {
      const { type, key } = this.#slots[slot]!;
      if (type === "string" && key === undefined && size > count) [most, count] = [slot, size];
    }
    return most < 0 ? undefined : { slot: most, texts: [...this.#compared.get(most)!].slice(0, maxNumbered) };
  }

  /** The slot of an attribute that some rule reads, or `undefined`. */
  find(name: string): number | undefined {
    return this.#byName.get(name);
  }

  /** The slots of the keys of a map that some rule reads by a constant key, or `undefined` when there are none. */
  keysOf(name: string): ReadonlyMap<string, number> | undefined {
    return this.#byKey.get(name);
  }

  /**
   * Whether no rule reads an attribute that has a slot: others can be made of it, and where a request brings all of those
   * a door may leave it out; or the hub itself looks at it.
   */
  isUnread(index: number): boolean {
    return this.#unread.has(index);
  }

  /** Whether the map in this slot must be kept whole. */
  isWhole(index: number): boolean {
    return this.#whole.has(index);
  }
}
