import test from "ava";
import fc from "fast-check";
import { Duration } from "../../src/attributes/duration.ts";
import { Bag } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Ip } from "../../src/attributes/ip.ts";
import { Timestamp } from "../../src/attributes/timestamp.ts";
import { boundedKey, chargeId, keyWith, limitKeyPrefix, maxKeyLength } from "../../src/runtime/limits/limit-key.ts";
import { RuleIndex } from "../../src/runtime/rules/rule-index.ts";
import { applies, matches } from "../../src/runtime/applies.ts";
import { prepareRule } from "../../src/runtime/prepared-rule.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { bagOf } from "../attributes/bag-of.ts";
import { compiled } from "./world.ts";

const value = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom("(absent)", "absent;", "fault;", "s1:a", "1", "true", "10.0.0.1", ""),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constantFrom(
    undefined,
    new Fault("x"),
    Ip.parse("10.0.0.1")!,
    Timestamp.fromMs(1)!,
    Duration.fromMs(1)!,
    Uint8Array.of(1),
    new Map([["a", "b"]]),
  ),
);

function identity(part: unknown): string {
  if (part instanceof Fault) return "fault";
  if (part instanceof Map) return `map ${JSON.stringify([...part])}`;
  if (part instanceof Uint8Array) return `bytes ${part.join()}`;
  return `${typeof part} ${part?.constructor.name} ${String(part)}`;
}

test("keys of different values are different, and of the same values the same", (t) => {
  const keyOf = (values: readonly unknown[]): string =>
    boundedKey(
      "p",
      values.reduce<string>((key, part) => keyWith(key, part as string), "p"),
    );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), fc.array(value, { maxLength: 4 }), (a, b) => {
      const same = a.length === b.length && a.every((part, i) => identity(part) === identity(b[i]));
      return (keyOf(a) === keyOf(b)) === same;
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.not(keyOf(["ab", "c"]), keyOf(["a", "bc"]));
  t.not(keyOf([undefined]), keyOf(["(absent)"]));
});

test("a key is never longer than a bound, and long values stay apart", (t) => {
  const keyOf = (text: string): string => boundedKey("p", keyWith("p", text));
  const long = "x".repeat(1_000_000);
  t.true(keyOf(long).length <= maxKeyLength);
  t.not(keyOf(`${long}a`), keyOf(`${long}b`));
  t.not(keyOf(`${"x".repeat(300)}\ud800`), keyOf(`${"x".repeat(300)}\ud801`), "lone surrogates are different texts");
  t.true(chargeId("i".repeat(100_000), "c", "k", "n").length <= maxKeyLength);
});

test("a limit's key depends on id, algorithm, window and what it counts by, but not on the amount", (t) => {
  const limit = { id: "p/l", algorithm: "token-bucket", amount: 5, windowMs: 1000, burst: 5 } as const;
  const by = [{ name: "key", value: undefined as never }];
  const prefix = limitKeyPrefix({ limit, by });
  t.is(limitKeyPrefix({ limit: { ...limit, amount: 9, burst: 20 }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, id: "p/m" }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, algorithm: "fixed-window" }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, windowMs: 2000 }, by }), prefix);
  t.not(limitKeyPrefix({ limit, by: [] }), prefix);
  t.not(limitKeyPrefix({ limit, by: [{ ...by[0]!, name: "user" }] }), prefix);
});

test("the index finds every rule that applies, in order", async (t) => {
  const services = ["a", "b", "c"];
  const test_ = fc.constantFrom(
    ...services.map((name) => `destination.service.name == "${name}"`),
    ...services.map((name) => `source.namespace == "${name}" && request.method == "GET"`),
    `request.method == "GET"`,
    `destination.service.name == "a" || request.method == "GET"`,
    `destination.service.name == "b" && int(request.headers["n"]) > 1`,
  );
  const attribute = fc.constantFrom(undefined, new Fault("wrong"), ...services, "GET");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.option(test_), fc.option(test_)), { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(attribute, attribute, attribute, fc.constantFrom("0", "2", "x")), { maxLength: 10 }),
      async (rules, requests) => {
        const texts = rules.map(
          ([match, when], i) =>
            `policy: p${i}${match === null ? "" : `\nmatch: '${match}'`}\ncheck: [{ name: r, deny: aborted${when === null ? "" : `, when: '${when}'`} }]`,
        );
        const snapshot = await compiled(texts);
        const index = new RuleIndex(snapshot.checks, snapshot.layout);
        for (const [service, namespace, method, n] of requests) {
          const given = {
            "destination.service.name": service,
            "source.namespace": namespace,
            "request.method": method,
            "request.headers": { n },
          };
          const attributes = Object.fromEntries(Object.entries(given).filter(([, held]) => held !== undefined));
          const found = index.rules(bagOf(snapshot, attributes));
          const bag = bagOf(snapshot, attributes);
          const needed = snapshot.checks.filter((rule) => {
            const prepared = prepareRule(rule, snapshot, () => () => undefined);
            return applies(prepared, matches(prepared, bag), bag) !== false;
          });
          if (!needed.every(({ ordinal }) => found.includes(ordinal))) return false;
          if (found.some((ordinal, i) => i > 0 && ordinal <= found[i - 1]!)) return false;
        }
        return true;
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

test("of many rules for many services only those of the request's are looked at", async (t) => {
  const texts = Array.from(
    { length: 200 },
    (_, i) =>
      `policy: p${i}\nmatch: destination.service.name == "s${i}"\ncheck: [{ name: a, deny: aborted }, { name: b, deny: aborted, when: request.method == "GET" }]`,
  );
  const snapshot = await compiled([...texts, `policy: everywhere\ncheck: [{ name: a, deny: aborted }]`]);
  const index = new RuleIndex(snapshot.checks, snapshot.layout);
  const find = (attributes: object) => index.rules(bagOf(snapshot, attributes as never)).length;
  t.is(find({ "destination.service.name": "s7" }), 3);
  t.is(find({ "destination.service.name": "other" }), 1);
  t.is(find({}), 1);
  t.is(find({ "destination.service.name": new Fault("wrong") }), 401);
  const { slot, texts: numbered } = snapshot.layout.numbered!;
  t.is(slot, snapshot.layout.find("destination.service.name")!);
  for (const [number, text] of numbered.entries()) {
    const bag = new Bag(snapshot.layout);
    bag.setNumbered(number);
    t.deepEqual(index.rules(bag), index.rules(bagOf(snapshot, { "destination.service.name": text })), text);
  }
});
