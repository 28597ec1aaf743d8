import test from "ava";
import fc from "fast-check";
import { waterFill } from "../../../src/runtime/quota/water-fill.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const wants = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true })), {
  minLength: 1,
  maxLength: 30,
});
const amount = fc.double({ min: 0, max: 1e6, noNaN: true });
const sum = (parts: readonly number[]): number => parts.reduce((a, b) => a + b, 0);
const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1, a, b);

const cases: readonly { title: string; amount: number; wants: readonly number[]; parts: readonly number[] }[] = [
  { title: "everybody wants too much: equal parts", amount: 9, wants: [10, 20, 30], parts: [3, 3, 3] },
  { title: "who wants little has it, the others share the rest", amount: 10, wants: [1, 20, 30], parts: [1, 4.5, 4.5] },
  { title: "what nobody wants is divided evenly", amount: 12, wants: [1, 2, 3], parts: [3, 4, 5] },
  { title: "nothing is divided into nothing", amount: 0, wants: [1, 2], parts: [0, 0] },
  { title: "one has it all", amount: 7, wants: [0], parts: [7] },
];

for (const { title, amount, wants, parts } of cases) {
  test(`water-filling: ${title}`, (t) => t.deepEqual(waterFill(amount, wants), parts));
}

test("parts add up to the amount, whatever is wanted", (t) => {
  fc.assert(
    fc.property(amount, wants, (amount, wants) => {
      const parts = waterFill(amount, wants);
      return parts.every((part) => part >= 0) && near(sum(parts), amount);
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("who has less than it wants has no less than anybody else: max-min fairness, nobody starves", (t) => {
  fc.assert(
    fc.property(amount, wants, (amount, wants) => {
      const parts = waterFill(amount, wants);
      const most = Math.max(...parts);
      return parts.every((part, i) => part >= wants[i]! || near(part, wants[i]!) || near(part, most));
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("more to divide takes nothing from anybody, and one more who wants gives nothing to anybody", (t) => {
  fc.assert(
    fc.property(amount, amount, wants, amount, (amount, more, wants, another) => {
      const parts = waterFill(amount, wants);
      const grown = waterFill(amount + more, wants);
      const joined = waterFill(amount, [...wants, another]);
      return parts.every((part, i) => {
        return (grown[i]! >= part || near(grown[i]!, part)) && (joined[i]! <= part || near(joined[i]!, part));
      });
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("who wants more gets no less", (t) => {
  fc.assert(
    fc.property(amount, wants, fc.nat(), amount, (amount, wants, which, more) => {
      const i = which % wants.length;
      const changed = wants.map((want, j) => (j === i ? want + more : want));
      const [before, after] = [waterFill(amount, wants)[i]!, waterFill(amount, changed)[i]!];
      // Of what is left over nobody has a right to a part: asking for it beforehand gives no less than its own share of it.
      return after >= Math.min(before, wants[i]!) || near(after, before);
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});
