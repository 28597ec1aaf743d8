import test from "ava";
import fc from "fast-check";
import { type Numbered, StreamTable } from "../../../src/wire/http2/stream-table.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

interface Entry extends Numbered<Entry> {
  readonly id: number;
}

function entry(id: number): Entry {
  return { id, next: undefined };
}

test("holds what a Map by the same numbers holds", (t) => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ open: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 2, arbitrary: fc.record({ close: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ closeAll: fc.constant(true) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new StreamTable<Entry>();
      const model = new Map<number, Entry>();
      let last = -1;
      for (const each of steps) {
        if ("open" in each) {
          for (let i = 0; i < each.open; i++) {
            const opened = entry((last += 2));
            table.add(opened);
            model.set(opened.id, opened);
          }
        } else if ("close" in each) {
          const closed = [...model.values()][each.close % Math.max(1, model.size)];
          if (closed === undefined) continue;
          table.delete(closed);
          table.delete(closed);
          model.delete(closed.id);
        } else {
          table.clear();
          model.clear();
        }
        const byId = [...table].sort((a, b) => a.id - b.id);
        if (table.size !== model.size || byId.some((held, i) => held !== [...model.values()][i])) return false;
        for (let id = 1; id <= last + 2; id += 2) if (table.get(id) !== model.get(id)) return false;
      }
      return true;
    }),
    { numRuns: fuzzRuns(200) },
  );
  t.pass();
});

test("goes through the streams that were there when it began, though they end meanwhile", (t) => {
  const table = new StreamTable<Entry>();
  for (let id = 1; id < 40; id += 2) table.add(entry(id));
  const met: number[] = [];
  for (const stream of table) {
    met.push(stream.id);
    table.clear();
  }
  t.is(met.length, 20);
  t.is(table.size, 0);
});

test("keeps nothing of what it held", (t) => {
  const table = new StreamTable<Entry>();
  const [first, second] = [entry(1), entry(17)];
  table.add(first);
  table.add(second);
  table.delete(first);
  table.delete(second);
  t.deepEqual([first.next, second.next], [undefined, undefined]);
});
