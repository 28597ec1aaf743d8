import test from "ava";
import fc from "fast-check";
import { emptyMap, Bag } from "../../../src/attributes/bag.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import type { Value } from "../../../src/attributes/value.ts";
import { standardVocabulary } from "../../../src/attributes/standard-vocabulary.ts";
import { compileExpression } from "../../../src/expression/index.ts";
import { ConditionTable, type Tested } from "../../../src/runtime/rules/condition-table.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const texts = ["", "a", "ab", "GET", "/admin/a", "team-1", "é", "😀"];
const attributes = ["request.method", "source.namespace", 'request.headers["x-a"]', 'request.headers["x-b"]'];

const text = fc.constantFrom(...texts).map((each) => JSON.stringify(each));
const subject = fc.constantFrom(...attributes);
const textTest = fc.oneof(
  fc.tuple(subject, fc.constantFrom("==", "!="), text).map((parts) => parts.join(" ")),
  fc.tuple(text, fc.constantFrom("==", "!="), subject).map((parts) => parts.join(" ")),
  fc
    .tuple(subject, fc.array(text, { minLength: 1, maxLength: 300 }))
    .map(([each, list]) => `${each} in [${list.join()}]`),
  fc
    .tuple(subject, fc.constantFrom("startsWith", "endsWith", "contains"), text)
    .map(([each, method, other]) => `${each}.${method}(${other})`),
);
const presence = subject.map((each) => `has(${each})`);
const other = fc.constantFrom("connection.mtls", "destination.port == 80", "request.method == source.namespace");
const { whole } = fc.letrec<{ whole: string }>((tie) => ({
  whole: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    textTest,
    fc.oneof(presence, other),
    fc.tuple(presence, textTest).map((both) => both.join(" && ")),
    fc.tuple(subject, textTest).map(([each, rest]) => `has(${each}) && ${rest}`),
    tie("whole").map((inner) => `!(${inner})`),
    fc.tuple(tie("whole"), fc.constantFrom("&&", "||"), tie("whole")).map(([a, sign, b]) => `(${a}) ${sign} (${b})`),
  ),
}));

const held = fc.oneof(fc.constantFrom(...texts, "team-12", "/admin/abc"), fc.constant(undefined));
const fault = new Fault("of the wrong type");
/** What the slots hold, by their names. A map that came with the wrong type has no keys. */
const request = fc.record({
  "request.method": fc.oneof({ arbitrary: held, weight: 5 }, { arbitrary: fc.constant(fault), weight: 1 }),
  "source.namespace": held,
  "connection.mtls": fc.constantFrom(true, false, undefined, fault),
  "destination.port": fc.constantFrom(80, 81, undefined),
  headers: fc.oneof(fc.record({ "x-a": held, "x-b": held }), fc.constantFrom(undefined, fault)),
});

function fill(bag: Bag, { headers, ...plain }: typeof request extends fc.Arbitrary<infer T> ? T : never): void {
  const { layout } = bag;
  bag.clear();
  for (const [name, value] of Object.entries(plain)) {
    const slot = layout.find(name);
    if (slot !== undefined) bag.set(slot, value);
  }
  const map = layout.find("request.headers");
  if (map === undefined) return;
  bag.set(map, headers === undefined || headers instanceof Fault ? headers : emptyMap);
  if (headers === undefined || headers instanceof Fault) return;
  for (const [key, slot] of layout.keysOf("request.headers") ?? [])
    bag.set(slot, (headers as Record<string, Value | undefined>)[key]);
}

test("a table of conditions gives what each of them gives by itself, and reads what it reads", (t) => {
  fc.assert(
    fc.property(
      fc.array(whole, { minLength: 1, maxLength: 12 }),
      fc.array(request, { minLength: 1 }),
      (sources, requests) => {
        const layout = new Layout();
        const environment = { vocabulary: standardVocabulary, layout, phase: "check" } as const;
        const conditions = sources.map((source) => {
          const { expression, problems } = compileExpression<boolean>(source, environment);
          if (expression === undefined) throw new Error(`${source}: ${problems![0]!.message}`);
          return expression;
        });
        const numbers = new Map<Tested, readonly number[]>();
        const table = new ConditionTable(conditions, numbers);
        const bag = new Bag(layout);
        const outcome = (evaluate: () => unknown): readonly unknown[] => {
          bag.clearReads();
          return [evaluate(), ...bag.readBits];
        };
        for (const each of requests) {
          fill(bag, each);
          for (const condition of conditions)
            if (
              !same(
                outcome(() => table.evaluate(Int32Array.from(numbers.get(condition)!), 0, bag)),
                outcome(() => condition.evaluate(bag)),
              )
            )
              return false;
        }
        return true;
      },
    ),
    { numRuns: fuzzRuns(500) },
  );
  t.pass();
});

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.every((each, i) => Object.is(each, b[i]));
}

const forms: readonly (readonly [source: string, isTextTest: boolean])[] = [
  ['request.method == "GET"', true],
  ['"GET" != request.method', true],
  ['request.method in ["GET", "POST"]', true],
  ['request.headers["x-a"].startsWith("a")', true],
  ['!request.path.endsWith(".php")', true],
  ['has(request.useragent) && request.useragent.contains("robot")', true],
  ['has(request.useragent) && request.path.contains("robot")', false],
  ['!(has(request.useragent) && request.useragent.contains("robot"))', false],
  ["request.method == request.path", false],
  ["connection.mtls", false],
];

for (const [source, isTextTest] of forms) {
  test(`${source} is ${isTextTest ? "" : "not "}a test of a text`, (t) => {
    const environment = { vocabulary: standardVocabulary, layout: new Layout(), phase: "check" } as const;
    t.is(compileExpression(source, environment).expression!.textTest !== undefined, isTextTest);
  });
}
