import type { Bag } from "../attributes/bag.ts";
import type { Fault } from "../attributes/fault.ts";
import type { Expression, TextTest } from "../expression/expression.ts";
import type { Condition } from "./prepared-rule.ts";

/**
 * Each condition has three numbers: its kind and what belongs to it, and two positions. A `call` is one function. What is
 * `guarded` is one function behind another. Other kinds test a text, see {@link TextTest}: the first position is that of
 * the text, or of the list for `isOneOf`, the second that of the function to call where there is no text.
 */
const width = 3;
const kinds = { call: 0, guarded: 1, equals: 2, startsWith: 3, endsWith: 4, contains: 5, isOneOf: 6 } as const;
const kindBits = 0b111;
const negatedBit = 0b1000;
const countShift = 4;
const countBits = 0xff;
const slotShift = 12;
const maxSlot = 0xf_ffff;

/**
 * The conditions of many rules, those that test a text as data. Of thousands of conditions little is in the processor's
 * caches, and a function brings itself, what it encloses and what that points to. Conditions that are needed one after
 * the other lie side by side.
 */
export class ConditionTable {
  readonly #numbers: Int32Array;
  readonly #texts: string[] = [];
  /** The texts of lists, each by a number of its own: short, and the same list after list. */
  readonly #members = new Map<string, number>();
  readonly #lists: Int32Array;
  /** Each function once. */
  readonly #functions: Condition[] = [];

  constructor(conditions: readonly Pick<Expression<boolean>, "evaluate" | "guard" | "textTest">[]) {
    this.#numbers = new Int32Array(conditions.length * width);
    const lists: number[] = [];
    const places = new Map<Condition, number>();
    const placeOf = (run: Condition): number => {
      let place = places.get(run);
      if (place === undefined) places.set(run, (place = this.#functions.push(run) - 1));
      return place;
    };
    conditions.forEach(({ evaluate, guard, textTest }, i) => {
      this.#numbers.set(
        isCompact(textTest)
          ? [packed(textTest), this.#addTexts(textTest, lists), placeOf(textTest.otherwise as Condition)]
          : guard === undefined
            ? [kinds.call, placeOf(evaluate), 0]
            : [kinds.guarded, placeOf(evaluate), placeOf(guard)],
        i * width,
      );
    });
    this.#lists = Int32Array.from(lists);
  }

  /** The same as `evaluate` of the condition that stands there. */
  evaluate(at: number, bag: Bag): boolean | undefined | Fault {
    const numbers = this.#numbers;
    const i = at * width;
    const what = numbers[i]!;
    const kind = what & kindBits;
    if (kind > kinds.guarded) {
      const value = bag.get(what >>> slotShift);
      if (typeof value !== "string") return this.#functions[numbers[i + 2]!]!(bag);
      return this.#holds(value, kind, numbers[i + 1]!, (what >>> countShift) & countBits) !== (what & negatedBit) > 0;
    }
    if (kind === kinds.guarded && this.#functions[numbers[i + 2]!]!(bag) === false) return false;
    return this.#functions[numbers[i + 1]!]!(bag);
  }

  #holds(value: string, kind: number, from: number, count: number): boolean {
    switch (kind) {
      case kinds.equals:
        return value === this.#texts[from];
      case kinds.startsWith:
        return value.startsWith(this.#texts[from]!);
      case kinds.endsWith:
        return value.endsWith(this.#texts[from]!);
      case kinds.contains:
        return value.includes(this.#texts[from]!);
    }
    const member = this.#members.get(value);
    if (member === undefined) return false;
    for (let i = from; i < from + count; i++) if (this.#lists[i] === member) return true;
    return false;
  }

  #addTexts({ texts }: TextTest, lists: number[]): number {
    if (texts.length === 1) return this.#texts.push(texts[0]!) - 1;
    const from = lists.length;
    for (const text of texts) {
      const member = this.#members.get(text) ?? this.#members.size;
      this.#members.set(text, member);
      lists.push(member);
    }
    return from;
  }
}

function isCompact(test: TextTest | undefined): test is TextTest {
  return test !== undefined && test.slot <= maxSlot && test.texts.length <= countBits;
}

function packed({ kind, negated, texts, slot }: TextTest): number {
  const tested = texts.length === 1 ? kinds[kind] : kinds.isOneOf;
  return tested | (negated ? negatedBit : 0) | (texts.length << countShift) | (slot << slotShift);
}
