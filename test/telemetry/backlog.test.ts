import test from "ava";
import fc from "fast-check";
import { Backlog } from "../../src/telemetry/queues/backlog.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const step = fc.oneof(
  fc.record({ push: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ take: fc.integer({ min: 0, max: 3000 }) }),
);

test("what is taken is what was put in first, and is told of once", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const backlog = new Backlog<number>();
      const model: number[] = [];
      const told: number[] = [];
      let next = 0;
      let taken = 0;
      for (const each of steps) {
        if ("push" in each) {
          for (let i = 0; i < each.push; i++) {
            const item = next++;
            // Of every third nobody wants to know.
            backlog.push(item, item % 7, item % 3 === 0 ? undefined : () => void told.push(item));
            model.push(item);
          }
        } else {
          const count = Math.min(each.take, model.length);
          t.deepEqual(backlog.first(each.take), model.slice(0, each.take));
          backlog.take(count);
          taken += count;
          model.splice(0, count);
        }
        t.is(backlog.length, model.length);
        t.is(
          backlog.bytes,
          model.reduce((sum, item) => sum + (item % 7), 0),
        );
      }
      const expected = Array.from({ length: taken }, (_, i) => i).filter((item) => item % 3 !== 0);
      t.deepEqual(told, expected);
      t.is(backlog.clear(), model.filter((item) => item % 3 === 0).length);
      t.is(backlog.length, 0);
      t.is(backlog.bytes, 0);
      t.deepEqual(told, expected);
    }),
    { numRuns: fuzzRuns(100) },
  );
});
