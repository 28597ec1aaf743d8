import test from "ava";
import fc from "fast-check";
import { Members, type Placed } from "../../src/util/members.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

test("has the members that a Set would have", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 9 }), { maxLength: 60 }), (comings) => {
      const all = Array.from({ length: 10 }, (): Placed => ({ place: -1 }));
      const members = new Members<Placed>();
      const model = new Set<Placed>();
      for (const which of comings) {
        const each = all[which]!;
        if (model.delete(each)) members.delete(each);
        else {
          members.delete(each);
          members.add(each);
          model.add(each);
        }
        const now = new Set(members);
        if (members.size !== model.size || now.size !== model.size || [...model].some((one) => !now.has(one)))
          return false;
      }
      return true;
    }),
    { numRuns: fuzzRuns(200) },
  );
  t.pass();
});

test("goes through those that were members when it began, though they leave meanwhile", (t) => {
  const members = new Members<Placed>();
  for (let i = 0; i < 5; i++) members.add({ place: -1 });
  let met = 0;
  for (const member of members) {
    met++;
    members.delete(member);
  }
  t.deepEqual([met, members.size], [5, 0]);
});
