import test from "ava";
import fc from "fast-check";
import { TextLists } from "../../../src/runtime/rules/text-lists.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const text = fc.oneof(fc.constantFrom("", "a", "b", "GET"), fc.nat({ max: 60 }).map(String));

test("a list has the texts that were put into it, however many lists have them too", (t) => {
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 4 }),
      fc.array(fc.array(text, { maxLength: 8 }), { maxLength: 120 }),
      (common, others) => {
        const all = others.map((texts) => [...common, ...texts]);
        const lists = new TextLists(all);
        const asked = new Set([...all.flat(), "nowhere", ""]);
        return all.every((texts, i) => [...asked].every((each) => lists.has(i, each) === texts.includes(each)));
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});
