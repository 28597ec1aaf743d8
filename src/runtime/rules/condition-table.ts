import type { Bag } from "../../attributes/bag.ts";
import type { Fault } from "../../attributes/fault.ts";
import type { Expression, TextTest } from "../../expression/expression.ts";
import type { Condition } from "../prepared-rule.ts";
import { pairsOf, RecentPairs } from "./text-pairs.ts";
import { TextLists, type UsedList } from "./text-lists.ts";

/**
 * Each condition has four numbers: its kind and what belongs to it, and two positions. A `call` is one function. What is
 * `guarded` is one function behind another. What is `shared` stands elsewhere, at the first position. Other kinds test a
 * text, see {@link TextTest}: the first position is that of the text, or of the list for `isOneOf`, the second that of the
 * function to call where there is no text. The fourth number tells of most values that they do not pass: the
 * {@link sketchOf} the text, and for `contains` {@link pairsOf} it.
 */
export const conditionWidth = 4;
const kinds = {
  call: 0,
  guarded: 1,
  shared: 2,
  equals: 3,
  startsWith: 4,
  endsWith: 5,
  contains: 6,
  isOneOf: 7,
} as const;
// What a module has for itself is a constant to V8, what it exports is read each time.
const width = conditionWidth;
const kindBits = 0b111;
const negatedBit = 0b1000;
const slotShift = 4;
const maxSlot = 0x7ff_ffff;
const maxSketched = 0xffff;

export type Tested = Pick<Expression<boolean>, "evaluate" | "guard" | "textTest">;

/**
 * The conditions of many rules as numbers, those that test a text as data. Of thousands of conditions little is in the
 * processor's caches, and a function brings itself, what it encloses and what that points to. Whoever has rules puts the
 * numbers of their conditions where they are needed.
 */
export class ConditionTable {
  readonly #texts: string[] = [];
  readonly #lists: TextLists;
  /** Each function once. */
  readonly #functions: Condition[] = [];
  readonly #pairs = new RecentPairs();
  /** The numbers of shared conditions; by their order, whether each was evaluated for this request, and what it gave. */
  readonly #shared: Int32Array;
  readonly #isEvaluated: Uint8Array;
  readonly #outcomes: (boolean | undefined | Fault)[] = [];
  /** Which of them were. */
  readonly #evaluated: Int32Array;
  #count = 0;

  /**
   * `numbers` is given those of each condition, {@link conditionWidth} of them: the first is its kind, the third says what
   * else it is beside its text. Those of `shared` are evaluated once a request, which {@link ConditionTable.begin} begins.
   */
  constructor(
    conditions: Iterable<Tested>,
    numbers: Map<Tested, readonly number[]>,
    shared: ReadonlySet<Tested> = new Set(),
  ) {
    const ofShared: number[] = [];
    const lists: UsedList[] = [];
    const functions = new Map<Condition, number>();
    const placeOf = (run: Condition): number => {
      let place = functions.get(run);
      if (place === undefined) functions.set(run, (place = this.#functions.push(run) - 1));
      return place;
    };
    const uses = new Map<Tested, number>();
    for (const condition of conditions) uses.set(condition, (uses.get(condition) ?? 0) + 1);
    for (const [condition, used] of uses) {
      const { evaluate, guard, textTest } = condition;
      const own = isCompact(textTest)
        ? [
            packed(textTest),
            (textTest.texts.length === 1
              ? this.#texts.push(textTest.texts[0]!)
              : lists.push({ texts: textTest.texts, uses: used })) - 1,
            placeOf(textTest.otherwise as Condition),
            hintOf(textTest),
          ]
        : guard === undefined
          ? [kinds.call, placeOf(evaluate), 0, 0]
          : [kinds.guarded, placeOf(evaluate), placeOf(guard), 0];
      if (shared.has(condition)) {
        numbers.set(condition, [kinds.shared, ofShared.length / conditionWidth, 0, 0]);
        ofShared.push(...own);
        this.#outcomes.push(undefined);
      } else numbers.set(condition, own);
    }
    this.#lists = new TextLists(lists);
    this.#shared = new Int32Array(ofShared);
    this.#isEvaluated = new Uint8Array(this.#outcomes.length);
    this.#evaluated = new Int32Array(this.#outcomes.length);
  }

  /** A request begins: what shared conditions gave before is forgotten. */
  begin(): void {
    while (this.#count > 0) this.#isEvaluated[this.#evaluated[--this.#count]!] = 0;
  }

  /** The same as `evaluate` of the condition whose numbers stand there. */
  evaluate(numbers: Int32Array, at: number, bag: Bag): boolean | undefined | Fault {
    if (numbers[at] !== kinds.shared) return this.#evaluate(numbers, at, bag);
    const place = numbers[at + 1]!;
    if (this.#isEvaluated[place] !== 0) return this.#outcomes[place];
    const outcome = this.#evaluate(this.#shared, place * width, bag);
    this.#isEvaluated[place] = 1;
    this.#evaluated[this.#count++] = place;
    this.#outcomes[place] = outcome;
    return outcome;
  }

  #evaluate(numbers: Int32Array, at: number, bag: Bag): boolean | undefined | Fault {
    const what = numbers[at]!;
    const kind = what & kindBits;
    if (kind > kinds.shared) {
      const value = bag.get(what >>> slotShift);
      if (typeof value !== "string") return this.#functions[numbers[at + 2]!]!(bag);
      return this.#holds(value, kind, numbers[at + 1]!, numbers[at + 3]!) !== (what & negatedBit) > 0;
    }
    if (kind === kinds.guarded && this.#functions[numbers[at + 2]!]!(bag) === false) return false;
    return this.#functions[numbers[at + 1]!]!(bag);
  }

  /** The text itself is looked at last: of many rules' texts hardly any is in the processor's caches. */
  #holds(value: string, kind: number, text: number, hint: number): boolean {
    if (kind === kinds.isOneOf) return this.#lists.has(text, value);
    if (kind === kinds.contains) return (hint & ~this.#pairs.of(value)) === 0 && value.includes(this.#texts[text]!);
    const start = value.length - (hint & maxSketched);
    if (start < 0) return false;
    switch (kind) {
      case kinds.equals:
        return start === 0 && isLike(value, 0, hint) && value === this.#texts[text];
      case kinds.startsWith:
        return isLike(value, 0, hint) && value.startsWith(this.#texts[text]!);
      default:
        return isLike(value, start, hint) && value.endsWith(this.#texts[text]!);
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

function hintOf({ kind, texts }: TextTest): number {
  if (texts.length > 1) return 0;
  return kind === "contains" ? pairsOf(texts[0]!) : sketchOf(texts[0]!);
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
