import { Fault } from "../attributes/fault.ts";
import type { Attribute } from "../attributes/vocabulary.ts";
import type { Compilation } from "./compilation.ts";
import { box, none, Optional } from "./dynamic.ts";
import type { Node } from "./node.ts";
import { isMissing, type Part, type Run } from "./part.ts";
import { optionalOf, types } from "./typing.ts";

/** Notes a problem when an attribute is not known yet in the phase that is compiled for. */
function checkPhase(c: Compilation, attribute: Attribute, at: Node): void {
  if (c.environment.phase === "check" && attribute.known === "report") {
    const message = `expected an attribute that is known before the request, found ${attribute.name}, which is known only after it`;
    c.problem(at, message, { code: "WEIR_EXPRESSION_REPORT_ATTRIBUTE" });
  }
}

/** An attribute by its name. */
export function readAttribute(c: Compilation, attribute: Attribute, at: Node): Part {
  checkPhase(c, attribute, at);
  c.use(attribute.name, undefined, false);
  const type = { kind: attribute.type };
  if (attribute.type === "string_map") {
    const map = c.environment.layout.declareWhole(attribute.name);
    return { type, run: (bag) => bag.getWhole(map) };
  }
  const slot = c.environment.layout.declare(attribute.name, attribute.type);
  return oncePerSlot(c.shared.reads, slot, { type, run: (bag) => bag.get(slot), slot });
}

/** `attribute["key"]` with a constant key: a slot of its own. */
export function readKey(c: Compilation, attribute: Attribute, key: string, at: Node): Part {
  const [slot, map] = declareKey(c, attribute, key, at, false);
  return oncePerSlot(c.shared.reads, slot, {
    type: types.string,
    slot,
    run: (bag) => {
      const value = bag.get(slot);
      if (value !== undefined) return value;
      const whole = bag.peek(map);
      return whole instanceof Fault ? whole : undefined;
    },
  });
}

/** `attribute[key]` with a key that is computed. */
export function readComputedKey(c: Compilation, attribute: Attribute, key: Run, at: Node): Part {
  checkPhase(c, attribute, at);
  c.use(attribute.name, undefined, false);
  const map = c.environment.layout.declareWhole(attribute.name);
  return {
    type: types.string,
    run: (bag) => {
      const value = key(bag);
      return isMissing(value) ? value : bag.getKey(map, value as string);
    },
  };
}

/**
 * `"key" in attribute` with a constant key; absent when the map is. Where the key is not there, the answer rests on the
 * map as well: a client that keeps answers takes a request without the map for one without the key. So such an answer
 * says that the map was read; one of `has(attribute["key"])` need not.
 */
export function keyInAttribute(c: Compilation, attribute: Attribute, key: string, at: Node): Part {
  const [slot, map] = declareKey(c, attribute, key, at, c.isGuarded(attribute.name));
  return {
    type: types.bool,
    run: (bag) => {
      if (bag.get(slot) !== undefined) return true;
      const held = bag.get(map);
      return isMissing(held) ? held : false;
    },
  };
}

function declareKey(
  c: Compilation,
  attribute: Attribute,
  key: string,
  at: Node,
  safe: boolean,
): readonly [slot: number, map: number] {
  checkPhase(c, attribute, at);
  c.use(attribute.name, key, safe);
  const { layout } = c.environment;
  return [layout.declareKey(attribute.name, key), layout.declare(attribute.name, "string_map")];
}

/** `has(attribute)` and `has(attribute["key"])`: whether it is there; a fault when it came with the wrong type. */
export function testPresence(c: Compilation, attribute: Attribute, key: string | undefined, at: Node): Part {
  if (key !== undefined) {
    const [slot, map] = declareKey(c, attribute, key, at, true);
    return presence(c, slot, (bag) => present(bag.get(slot) ?? faultOnly(bag.peek(map))));
  }
  checkPhase(c, attribute, at);
  c.use(attribute.name, undefined, true);
  const slot = c.environment.layout.declare(attribute.name, attribute.type);
  return presence(c, slot, (bag) => present(bag.get(slot)));
}

function presence(c: Compilation, slot: number, run: Run): Part {
  return oncePerSlot(c.shared.presence, slot, { type: types.bool, run, presenceOf: slot });
}

/** The part of a slot that was made first. */
function oncePerSlot(made: Map<number, Part>, slot: number, part: Part): Part {
  const known = made.get(slot);
  if (known === undefined) made.set(slot, part);
  return known ?? part;
}

/** `a.?b` and `a[?"b"]` on attributes: an optional that is none when the attribute or its key is absent. */
export function readOptional(c: Compilation, attribute: Attribute, key: string | undefined, at: Node): Part {
  if (key !== undefined) {
    const [slot, map] = declareKey(c, attribute, key, at, true);
    return {
      type: optionalOf(types.string),
      run: (bag) => optional("string", bag.get(slot) ?? faultOnly(bag.peek(map))),
    };
  }
  checkPhase(c, attribute, at);
  c.use(attribute.name, undefined, true);
  const type = { kind: attribute.type };
  if (attribute.type === "string_map") {
    const map = c.environment.layout.declareWhole(attribute.name);
    return { type: optionalOf(type), run: (bag) => optional("string_map", bag.getWhole(map)) };
  }
  const slot = c.environment.layout.declare(attribute.name, attribute.type);
  return { type: optionalOf(type), run: (bag) => optional(attribute.type, bag.get(slot)) };
}

function faultOnly(value: unknown): Fault | undefined {
  return value instanceof Fault ? value : undefined;
}

function present(value: unknown): boolean | Fault {
  return value instanceof Fault ? value : value !== undefined;
}

function optional(kind: Attribute["type"], value: unknown): Optional | Fault {
  if (value === undefined) return none;
  return value instanceof Fault ? value : new Optional(box(kind, value));
}
