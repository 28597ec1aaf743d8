import test from "ava";
import fc from "fast-check";
import { Forms } from "../../../src/runtime/rules/forms.ts";
import { pairsOf, RecentPairs } from "../../../src/runtime/rules/text-pairs.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

/** Lists of the same length have the same shape, or one of their own. */
const list = fc
  .tuple(fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 6 }), fc.nat({ max: 1 }))
  .map(([numbers, kind]) => ({ shape: `${numbers.length} ${kind}`, numbers }));

test("a list is read as it was given, whatever was read before", (t) => {
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 20 }), fc.array(fc.nat()), (lists, order) => {
      const forms = new Forms(lists);
      return order.every((each) => {
        const i = each % lists.length;
        const begin = forms.lay(i);
        return String([...forms.numbers.subarray(begin, forms.end)]) === String(lists[i]!.numbers);
      });
    }),
    { numRuns: fuzzRuns(500) },
  );
  t.pass();
});

test("lists that differ in one number take little more room than one of them", (t) => {
  const lists = Array.from({ length: 1000 }, (_, i) => ({ shape: "", numbers: [...Array<number>(100).fill(7), i] }));
  t.true(new Forms(lists).numbers.length < 110);
});

test("a text has all pairs of characters that its parts have, however often it is asked for", (t) => {
  const recent = new RecentPairs();
  const text = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ minLength: 55, maxLength: 80 }));
  fc.assert(
    fc.property(text, text, text, (before, part, behind) => {
      const whole = recent.of(before + part + behind);
      return (pairsOf(part) & ~whole) === 0 && recent.of(part) === pairsOf(part);
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.not(pairsOf("robot-service-0001") & ~pairsOf("curl/8.5.0"), 0);
});
