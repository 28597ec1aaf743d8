import test from "ava";
import fc from "fast-check";
import { TextLists } from "../../../src/runtime/rules/text-lists.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const text = fc.oneof(fc.constantFrom("", "a", "b", "GET"), fc.nat({ max: 60 }).map(String));

test("a list has the texts that were put into it, however many lists have them too", (t) => {
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 4 }),
      fc.array(fc.tuple(fc.array(text, { maxLength: 8 }), fc.constantFrom(1, 1, 1, 50)), { maxLength: 120 }),
      (common, others) => {
        const used = others.map(([texts, uses]) => ({ texts: [...common, ...texts], uses }));
        const all = used.map(({ texts }) => texts);
        const lists = new TextLists(used);
        const asked = new Set([...all.flat(), "nowhere", ""]);
        return all.every((texts, i) => [...asked].every((each) => lists.has(i, each) === texts.includes(each)));
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});
