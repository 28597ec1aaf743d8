import type { Bag } from "../attributes/bag.ts";
import type { Fault } from "../attributes/fault.ts";
import type { Expression, TextTest } from "../expression/expression.ts";
import type { Condition } from "./prepared-rule.ts";
import { TextLists } from "./text-lists.ts";

/**
 * Each condition has four numbers: its kind and what belongs to it, and two positions. A `call` is one function. What is
 * `guarded` is one function behind another. Other kinds test a text, see {@link TextTest}: the first position is that of
 * the text, or of the list for `isOneOf`, the second that of the function to call where there is no text. The fourth
 * number is the {@link sketchOf} the text.
 */
const width = 4;
const kinds = { call: 0, guarded: 1, equals: 2, startsWith: 3, endsWith: 4, contains: 5, isOneOf: 6 } as const;
const kindBits = 0b111;
const negatedBit = 0b1000;
const slotShift = 4;
const maxSlot = 0x7ff_ffff;
const maxSketched = 0xffff;

type Tested = Pick<Expression<boolean>, "evaluate" | "guard" | "textTest">;

/**
 * The conditions of many rules, those that test a text as data. Of thousands of conditions little is in the processor's
 * caches, and a function brings itself, what it encloses and what that points to. Conditions that are needed one after
 * the other lie side by side, and one that many rules have is there once.
 */
export class ConditionTable {
  readonly #places = new Map<Tested, number>();
  readonly #numbers: Int32Array;
  readonly #texts: string[] = [];
  readonly #lists: TextLists;
  /** Each function once. */
  readonly #functions: Condition[] = [];

  constructor(conditions: Iterable<Tested>) {
    for (const condition of conditions)
      if (!this.#places.has(condition)) this.#places.set(condition, this.#places.size);
    this.#numbers = new Int32Array(this.#places.size * width);
    const lists: (readonly string[])[] = [];
    const functions = new Map<Condition, number>();
    const placeOf = (run: Condition): number => {
      let place = functions.get(run);
      if (place === undefined) functions.set(run, (place = this.#functions.push(run) - 1));
      return place;
    };
    for (const [{ evaluate, guard, textTest }, place] of this.#places) {
      this.#numbers.set(
        isCompact(textTest)
          ? [
              packed(textTest),
              textTest.texts.length === 1 ? this.#texts.push(textTest.texts[0]!) - 1 : lists.push(textTest.texts) - 1,
              placeOf(textTest.otherwise as Condition),
              sketchOf(textTest.texts[0]!),
            ]
          : guard === undefined
            ? [kinds.call, placeOf(evaluate), 0, 0]
            : [kinds.guarded, placeOf(evaluate), placeOf(guard), 0],
        place * width,
      );
    }
    this.#lists = new TextLists(lists);
  }

  /** Where one of the conditions stands. */
  placeOf(condition: Tested): number {
    return this.#places.get(condition)!;
  }

  /** The same as `evaluate` of the condition that stands there. */
  evaluate(place: number, bag: Bag): boolean | undefined | Fault {
    const numbers = this.#numbers;
    const i = place * width;
    const what = numbers[i]!;
    const kind = what & kindBits;
    if (kind > kinds.guarded) {
      const value = bag.get(what >>> slotShift);
      if (typeof value !== "string") return this.#functions[numbers[i + 2]!]!(bag);
      return this.#holds(value, kind, numbers[i + 1]!, numbers[i + 3]!) !== (what & negatedBit) > 0;
    }
    if (kind === kinds.guarded && this.#functions[numbers[i + 2]!]!(bag) === false) return false;
    return this.#functions[numbers[i + 1]!]!(bag);
  }

  /** The text itself is looked at last: of many rules' texts hardly any is in the processor's caches. */
  #holds(value: string, kind: number, text: number, sketch: number): boolean {
    if (kind === kinds.isOneOf) return this.#lists.has(text, value);
    const start = value.length - (sketch & maxSketched);
    if (start < 0) return false;
    switch (kind) {
      case kinds.equals:
        return start === 0 && isLike(value, 0, sketch) && value === this.#texts[text];
      case kinds.startsWith:
        return isLike(value, 0, sketch) && value.startsWith(this.#texts[text]!);
      case kinds.endsWith:
        return isLike(value, start, sketch) && value.endsWith(this.#texts[text]!);
      default:
        return value.includes(this.#texts[text]!);
    }
  }
}

function isCompact(test: TextTest | undefined): test is TextTest {
  if (test === undefined || test.slot > maxSlot) return false;
  const { texts } = test;
  return texts.length > 1 || (texts.length === 1 && texts[0]!.length > 0 && texts[0]!.length <= maxSketched);
}

function packed({ kind, negated, texts, slot }: TextTest): number {
  return (texts.length === 1 ? kinds[kind] : kinds.isOneOf) | (negated ? negatedBit : 0) | (slot << slotShift);
}

/** A text's length, and of the characters in its middle and at its end the lower eight bits each. */
function sketchOf(text: string): number {
  const { length } = text;
  return (
    (length & maxSketched) |
    ((text.charCodeAt(length >> 1) & 0xff) << 16) |
    ((text.charCodeAt(length - 1) & 0xff) << 24)
  );
}

/** Whether a text of this sketch can stand in `value` from `start` on, where there is room for it. */
function isLike(value: string, start: number, sketch: number): boolean {
  const length = sketch & maxSketched;
  return (
    (value.charCodeAt(start + length - 1) & 0xff) === sketch >>> 24 &&
    (value.charCodeAt(start + (length >> 1)) & 0xff) === ((sketch >>> 16) & 0xff)
  );
}
