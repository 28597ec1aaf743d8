import test from "ava";
import fc from "fast-check";
import { hashOf, KeyIndex } from "./key-index.ts";

/** An index over keys that are held as a table holds them, and a `Map` that must say the same. */
function both(hash: (key: string) => number) {
  const keys: (string | undefined)[] = [];
  const index = new KeyIndex(keys);
  const places = new Map<string, number>();
  return {
    places,
    toggle(key: string) {
      const place = places.get(key);
      if (place === undefined) {
        places.set(key, keys.push(key) - 1);
        index.add(keys.length - 1, hash(key));
      } else {
        index.remove(place, hash(key));
        keys[place] = undefined;
        places.delete(key);
      }
    },
    find: (key: string) => index.find(key, hash(key)),
  };
}

const hashes: Readonly<Record<string, (key: string) => number>> = {
  "as they are": (key) => hashOf(key, 0, 99),
  "of few values": (key) => hashOf(key, 0, 99) & 7,
  "of few values in their first bits": (key) => hashOf(key, 0, 99) << 29,
  "all the same": () => -1,
};

for (const [name, hash] of Object.entries(hashes)) {
  test(`with hashes ${name} the index finds what a Map finds`, (t) => {
    const key = fc.integer({ min: 0, max: 300 }).map((n) => `key ${n}`);
    fc.assert(
      fc.property(fc.array(key, { maxLength: 600 }), (toggled) => {
        const { toggle, find, places } = both(hash);
        for (const each of toggled) toggle(each);
        for (let n = 0; n <= 300; n++) if (find(`key ${n}`) !== (places.get(`key ${n}`) ?? -1)) return false;
        return true;
      }),
      { numRuns: 50 },
    );
    t.pass();
  });
}

test("the index holds many keys, and finds each of them while others go", (t) => {
  const { toggle, find, places } = both((key) => hashOf(key, 4, 7));
  const count = 60_000;
  for (let i = 0; i < count; i++) toggle(`key ${i}`);
  for (let i = 0; i < count; i += 3) toggle(`key ${i}`);
  let wrong = 0;
  for (let i = 0; i < count; i++) if (find(`key ${i}`) !== (places.get(`key ${i}`) ?? -1)) wrong++;
  t.is(wrong, 0);
});

test("thousands of keys of one hash are found all the same", (t) => {
  const { toggle, find } = both(() => 5);
  const count = 6000;
  for (let i = 0; i < count; i++) toggle(`key ${i}`);
  t.is(find("key 0"), 0);
  t.is(find(`key ${count - 1}`), count - 1);
  t.is(find("another"), -1);
});

test("the hash depends on all characters from the given one on, and on the seed", (t) => {
  const hash = hashOf("prefix:value", 7, 1);
  t.is(hashOf("PREFIX:value", 7, 1), hash);
  t.not(hashOf("prefix:valuf", 7, 1), hash);
  t.not(hashOf("prefix:walue", 7, 1), hash);
  t.not(hashOf("prefix:value", 7, 2), hash);
});

test("hashes of keys that are counted up spread over all bits", (t) => {
  for (const shift of [0, 8, 16, 24]) {
    const buckets = new Uint32Array(256);
    for (let i = 0; i < 25_600; i++) buckets[(hashOf(`user-${i}`, 0, 3) >>> shift) & 255]!++;
    t.true(Math.max(...buckets) < 200, `bits from ${shift} on`);
    t.true(Math.min(...buckets) > 40, `bits from ${shift} on`);
  }
});
