import test from "ava";
import fc from "fast-check";
import { OwnTexts } from "../../src/util/own-texts.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

test("a text stays what it is, whatever it holds", (t) => {
  const texts = new OwnTexts();
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 2000 }), (text) => texts.own(text) === text),
    { numRuns: fuzzRuns(200) },
  );
  for (const text of ["", "\ud800", "a\udfffb", "\u2028\u2029", '"\\\n', "x".repeat(5000), "__proto__"])
    t.is(texts.own(text), text);
});
