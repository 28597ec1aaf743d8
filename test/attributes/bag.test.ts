import test from "ava";
import fc from "fast-check";
import { Bag, emptyMap } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

function readSlots(bag: Bag): number[] {
  const { slots } = bag.reads();
  return bag.layout.slots.map(({ index }) => index).filter((i) => (slots[i >>> 5]! & (1 << (i & 31))) !== 0);
}

test("a layout gives each attribute and each key of a map one slot", (t) => {
  const layout = new Layout();
  const path = layout.declare("request.path", "string");
  const host = layout.declareKey("request.headers", "host");
  t.is(layout.declare("request.path", "string"), path);
  t.is(layout.declareKey("request.headers", "host"), host);
  const map = layout.find("request.headers")!;
  t.deepEqual(layout.slots, [
    { index: path, name: "request.path", type: "string" },
    { index: map, name: "request.headers", type: "string_map" },
    { index: host, name: "request.headers", type: "string", key: "host", map },
  ]);
  t.is(layout.size, 3);
  t.deepEqual([...layout.keysOf("request.headers")!], [["host", host]]);
  t.is(layout.keysOf("request.path"), undefined);
  t.is(layout.find("request.host"), undefined);
});

test("a map is kept whole once some rule reads it whole", (t) => {
  const layout = new Layout();
  layout.declareKey("request.headers", "host");
  const map = layout.find("request.headers")!;
  t.false(layout.isWhole(map));
  t.is(layout.declareWhole("request.headers"), map);
  t.true(layout.isWhole(map));
});

function numberedLayout(texts: number): Layout {
  const layout = new Layout();
  const [few, many] = [layout.declare("a.few", "string"), layout.declare("a.many", "string")];
  const key = layout.declareKey("a.map", "key");
  for (let i = 0; i < texts; i++) {
    layout.declareText(many, `text-${i}`);
    layout.declareText(many, `text-${i}`);
    if (i > 0) layout.declareText(few, `text-${i}`);
    layout.declareText(key, `text-${i}`);
    layout.declareText(key, `other-${i}`);
  }
  return layout;
}

test("the texts of the attribute that is compared with the most are numbered, where they are many", (t) => {
  t.is(numberedLayout(15).numbered, undefined);
  const { slot, texts } = numberedLayout(20).numbered!;
  t.is(slot, 1);
  t.deepEqual(
    texts,
    Array.from({ length: 20 }, (_, i) => `text-${i}`),
  );
});

test("a text that is put into a bag by its number is read as any other", (t) => {
  const bag = new Bag(numberedLayout(20));
  bag.setNumbered(7);
  t.is(bag.getNumber(1), 7);
  t.deepEqual(readSlots(bag), [1]);
  t.true(bag.isGiven(1));
  t.is(bag.peek(1), "text-7");
  t.is(bag.get(1), "text-7");
  t.is(bag.getNumber(1), 7);
  t.is(bag.getNumber(0), -1, "of another slot none is known");
  bag.setNumbered(8);
  t.is(bag.get(1), "text-8");
});

test("the number of a text is forgotten with the text", (t) => {
  const bag = new Bag(numberedLayout(20));
  for (const text of ["text-3", undefined, new Fault("wrong")]) {
    bag.setNumbered(7);
    bag.set(1, text);
    t.is(bag.getNumber(1), -1);
    t.is(bag.get(1), text);
  }
  bag.setNumbered(7);
  bag.clear();
  t.is(bag.getNumber(1), -1);
  t.is(bag.get(1), undefined);
});

function bagOf(size: number): Bag {
  const layout = new Layout();
  for (let i = 0; i < size; i++) layout.declare(`a.n${i}`, "string");
  return new Bag(layout);
}

test("a slot that was never filled is absent", (t) => {
  const bag = bagOf(2);
  t.is(bag.get(0), undefined);
  t.is(bag.peek(1), undefined);
});

test("reading leaves a trace, present or absent; looking and filling do not", (t) => {
  const bag = bagOf(70);
  bag.set(3, "x");
  bag.peek(4);
  t.deepEqual(readSlots(bag), []);
  t.is(bag.get(3), "x");
  t.is(bag.get(31), undefined);
  t.is(bag.get(32), undefined);
  t.is(bag.get(69), undefined);
  t.deepEqual(readSlots(bag), [3, 31, 32, 69]);
});

test("a fault is held and read like a value", (t) => {
  const bag = bagOf(1);
  const fault = new Fault("wrong type");
  bag.set(0, fault);
  t.is(bag.get(0), fault);
  t.deepEqual(readSlots(bag), [0]);
});

function bagWithMap() {
  const layout = new Layout();
  const map = layout.declareWhole("request.headers");
  return { bag: new Bag(layout), map };
}

test("a computed key leaves a trace of its own, once, present or absent", (t) => {
  const { bag, map } = bagWithMap();
  bag.set(map, new Map([["host", "h"]]));
  t.is(bag.getKey(map, "host"), "h");
  t.is(bag.getKey(map, "cookie"), undefined);
  t.is(bag.getKey(map, "host"), "h");
  t.deepEqual(bag.reads().dynamic, [
    { map, key: "host", present: true },
    { map, key: "cookie", present: false },
  ]);
  t.deepEqual(readSlots(bag), []);
  t.true(bag.readsBeyondSlots);
});

test("a computed key of a map that is absent or faulty is a read of the map", (t) => {
  for (const held of [undefined, new Fault("wrong type")]) {
    const { bag, map } = bagWithMap();
    bag.set(map, held);
    t.is(bag.getKey(map, "host"), held);
    t.deepEqual(readSlots(bag), [map]);
    t.false(bag.readsBeyondSlots);
  }
});

test("beyond 64 computed keys the map counts as read whole", (t) => {
  const { bag, map } = bagWithMap();
  bag.set(map, emptyMap);
  for (let i = 0; i < 64; i++) bag.getKey(map, `k${i}`);
  t.deepEqual(bag.reads().whole, []);
  for (let i = 0; i < 200; i++) bag.getKey(map, `k${i}`);
  t.is(bag.reads().dynamic.length, 64);
  t.deepEqual(bag.reads().whole, [map]);
});

test("reading a map as a whole is told, unless it is absent", (t) => {
  const { bag, map } = bagWithMap();
  t.is(bag.getWhole(map), undefined);
  t.deepEqual(bag.reads().whole, []);
  t.deepEqual(readSlots(bag), [map]);
  bag.set(map, emptyMap);
  t.is(bag.getWhole(map), emptyMap);
  bag.getWhole(map);
  t.deepEqual(bag.reads().whole, [map]);
});

test("what was read is a value: later reads do not change it", (t) => {
  const { bag, map } = bagWithMap();
  bag.set(map, emptyMap);
  const before = bag.reads();
  bag.get(map);
  bag.getKey(map, "k");
  bag.getWhole(map);
  t.deepEqual(before, { slots: Uint32Array.of(0), dynamic: [], whole: [] });
});

test("a bag that is cleared is as new", (t) => {
  const { bag, map } = bagWithMap();
  bag.set(map, emptyMap);
  bag.getKey(map, "k");
  bag.getWhole(map);
  bag.clear();
  t.is(bag.peek(map), undefined);
  t.deepEqual(bag.reads(), { slots: Uint32Array.of(0), dynamic: [], whole: [] });
});

test("forgetting the reads keeps the values", (t) => {
  const bag = bagOf(1);
  bag.set(0, "x");
  bag.get(0);
  bag.clearReads();
  t.deepEqual(readSlots(bag), []);
  t.is(bag.peek(0), "x");
});

const step = fc.oneof(
  fc.record({ read: fc.nat(39) }),
  fc.record({ key: fc.constantFrom("a", "b", "c") }),
  fc.constant({ whole: true }),
);

test("the record can be put back to any point", (t) => {
  fc.assert(
    fc.property(fc.array(step), fc.array(step), fc.array(step), (first, second, third) => {
      const layout = new Layout();
      const map = layout.declareWhole("m.m");
      for (let i = 1; i < 40; i++) layout.declare(`a.n${i}`, "string");
      const run = (bag: Bag, steps: typeof first) => {
        for (const one of steps) {
          if ("read" in one) bag.get(one.read);
          else if ("key" in one) bag.getKey(map, one.key);
          else bag.getWhole(map);
        }
      };
      const bag = new Bag(layout);
      const straight = new Bag(layout);
      for (const each of [bag, straight]) each.set(map, new Map([["a", "1"]]));
      run(bag, first);
      const point = bag.reads();
      run(bag, second);
      bag.restoreReads(point);
      run(bag, third);
      run(straight, first);
      run(straight, third);
      if (JSON.stringify(told(bag)) !== JSON.stringify(told(straight))) throw new Error("the records differ");
    }),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

function told(bag: Bag): unknown {
  const { slots, dynamic, whole } = bag.reads();
  return [[...slots], dynamic, whole];
}

test("bits of what a bag holds say of each slot whether the request brought it", (t) => {
  const given = fc.record({
    /** More slots than a word of bits has. */
    held: fc.array(fc.option(fc.constantFrom("a", "", new Fault("wrong"))), { minLength: 1, maxLength: 70 }),
    derived: fc.array(fc.nat(69)),
    number: fc.option(fc.nat(19), { nil: undefined }),
  });
  fc.assert(
    fc.property(given, ({ held, derived, number }) => {
      const layout = numberedLayout(20);
      held.forEach((_, i) => layout.declare(`own.${i}`, "string"));
      const bag = new Bag(layout);
      held.forEach((value, i) => bag.set(layout.find(`own.${i}`)!, value ?? undefined));
      if (number !== undefined) bag.setNumbered(number);
      for (const i of derived) if (i < held.length) bag.markDerived(layout.find(`own.${i}`)!);
      const bits = new Uint32Array((layout.size + 31) >>> 5).fill(0xffff_ffff);
      bag.markGiven(bits);
      const marked = (slot: number): boolean => (bits[slot >>> 5]! & (1 << (slot & 31))) !== 0;
      for (const { index } of layout.slots) t.is(marked(index), bag.isGiven(index));
      t.deepEqual(readSlots(bag), []);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

test("a bag that is given values anew holds these alone, and gives back the list that it held", (t) => {
  const layout = numberedLayout(20);
  const name = layout.numbered!.slot;
  const other = layout.declare("own.other", "string");
  const bag = new Bag(layout);
  bag.setNumbered(3);
  bag.set(other, "before");
  bag.markDerived(other);
  bag.get(other);
  const values = new Array<string | undefined>(layout.size).fill(undefined);
  values[other] = "after";
  const before = bag.refill(values);
  t.is(before.length, layout.size);
  t.is(before[other], "before");
  t.is(bag.peek(name), undefined);
  t.is(bag.getNumber(name), -1);
  bag.clearReads();
  t.is(bag.peek(other), "after");
  t.true(bag.isGiven(other));
  t.deepEqual(readSlots(bag), []);
});
