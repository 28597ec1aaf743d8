import { type Bag, emptyMap } from "../../../attributes/bag.ts";
import { Fault } from "../../../attributes/fault.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { parseValue } from "../../../attributes/text.ts";
import type { AttributeType } from "../../../attributes/value.ts";
import { stripSpiffe } from "../principal.ts";

const domainName = "ratelimit.domain";
const descriptorName = "ratelimit.descriptor";
/** An identity, which is written here as at every other door: without `spiffe://`. */
const principalName = "source.principal";

/** An attribute, or one key of a string map, that an entry sets. */
interface Target {
  readonly name: string;
  readonly type: AttributeType;
  /** Its slot; -1 where the map is kept whole and this key of it has no slot. */
  readonly slot: number;
  /** For the key of a map: the map's slot, and the key. */
  readonly map: number;
  readonly key: string;
}

/** What an entry's key sets beside its place in `ratelimit.descriptor`, whose slot is -1 where nobody reads it. */
interface Known {
  readonly slot: number;
  readonly target: Target | undefined;
}

/** Keys that Envoy's actions give without a choice, and the attribute that they tell. */
const envoyKeys: readonly (readonly [key: string, attribute: string])[] = [["remote_address", "source.ip"]];

/**
 * Where the entries of descriptors go, for one layout: each into `ratelimit.descriptor` by its key, and where its key is
 * an attribute's name (`source.ip`), or that of a map's key (`request.headers.x-api-key`), into that attribute too.
 * The domain is not for entries to set.
 */
export class DescriptorTable {
  readonly layout: Layout;
  readonly #domain: number;
  readonly #descriptor: number;
  readonly #isWhole: boolean;
  readonly #known = new Map<string, Known>();
  /** Maps that are kept whole, by what their keys begin with here. */
  readonly #wholeMaps: readonly (readonly [prefix: string, map: number, name: string])[];

  constructor(layout: Layout) {
    this.layout = layout;
    this.#domain = layout.find(domainName) ?? -1;
    this.#descriptor = layout.find(descriptorName) ?? -1;
    this.#isWhole = this.#descriptor >= 0 && layout.isWhole(this.#descriptor);
    const settable = layout.slots.filter(({ name }) => !name.startsWith("ratelimit."));
    for (const { index, name, type, key, map } of settable) {
      if (key !== undefined) this.#add(`${name}.${key}`, { name, type, slot: index, map: map!, key });
      else if (type !== "string_map") this.#add(name, { name, type, slot: index, map: -1, key: "" });
    }
    this.#wholeMaps = settable
      .filter(({ index, key, type }) => key === undefined && type === "string_map" && layout.isWhole(index))
      .map(({ index, name }) => [`${name}.`, index, name]);
    for (const [key, attribute] of envoyKeys) {
      const { target } = this.#known.get(attribute) ?? {};
      if (target !== undefined) this.#add(key, target);
    }
    for (const [key, slot] of layout.keysOf(descriptorName) ?? []) {
      this.#known.set(key, { slot, target: this.#known.get(key)?.target });
    }
  }

  /** Says that a descriptor comes into a bag, and of which domain it is. */
  begin(bag: Bag, domain?: string): void {
    if (this.#domain >= 0 && domain !== undefined) bag.set(this.#domain, domain);
    if (this.#descriptor >= 0) bag.set(this.#descriptor, this.#isWhole ? new Map() : emptyMap);
  }

  /** What is known of an entry's key; `undefined` where no rule reads what it sets. */
  find(key: string): Known | undefined {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    // Header names come in lower case; who writes a proxy's configuration may not know that.
    const lower = key.startsWith("request.headers.") ? key.toLowerCase() : key;
    if (lower !== key && this.#known.has(lower)) return this.#known.get(lower);
    for (const [prefix, map, name] of this.#wholeMaps) {
      if (!lower.startsWith(prefix)) continue;
      return { slot: -1, target: { name, type: "string", slot: -1, map, key: lower.slice(prefix.length) } };
    }
    return this.#isWhole ? { slot: -1, target: undefined } : undefined;
  }

  /** Puts an entry into the bag. Of a key that comes twice the last counts. */
  put(bag: Bag, { slot, target }: Known, key: string, text: string): void {
    if (slot >= 0) bag.set(slot, text);
    if (this.#isWhole) (bag.peek(this.#descriptor) as Map<string, string>).set(key, text);
    if (target !== undefined) this.#set(bag, target, text);
  }

  #set(bag: Bag, { name, type, slot, map, key }: Target, text: string): void {
    if (map < 0) {
      const told = name === principalName ? stripSpiffe(text) : text;
      bag.set(
        slot,
        parseValue(type, told) ?? new Fault(`${name}: ${JSON.stringify(text.slice(0, 100))} is no ${type}`),
      );
      return;
    }
    if (slot >= 0) bag.set(slot, text);
    const held = bag.peek(map);
    if (!this.layout.isWhole(map)) bag.set(map, emptyMap);
    else if (held === undefined) bag.set(map, new Map([[key, text]]));
    else (held as Map<string, string>).set(key, text);
  }

  #add(key: string, target: Target): void {
    this.#known.set(key, { slot: -1, target });
  }
}
