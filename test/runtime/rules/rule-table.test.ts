import test from "ava";
import fc from "fast-check";
import { completionOf } from "../../../src/attributes/derived.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { applies, matches } from "../../../src/runtime/applies.ts";
import { prepareRule, type PreparedRule } from "../../../src/runtime/prepared-rule.ts";
import { RuleIndex } from "../../../src/runtime/rules/rule-index.ts";
import type { Attributes } from "../../attributes/bag-of.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { readsOf, world } from "../world.ts";

const names = ["a", "b", "c"] as const;

/** Rules as operators write them once for each of many services: `NAME` stands for the policy's own. */
const conditions = [
  'source.namespace in ["ops", "NAME"]',
  'request.url_path.startsWith("/admin/NAME")',
  'request.url_path.endsWith("NAME")',
  'has(request.useragent) && request.useragent.contains("robot-NAME")',
  'has(request.headers["x-debug"]) && request.headers["x-debug"] != "NAME"',
  'request.headers["x-debug"] == "NAME"',
  'source.namespace == "NAME" && connection.mtls',
  'int(request.headers["x-debug"]) > size("NAME")',
  "connection.mtls",
];
const condition = fc.option(fc.constantFrom(...conditions), { nil: undefined });
const rules = fc.array(fc.record({ when: condition, unless: condition }), { minLength: 1, maxLength: 4 });
const match = fc.constantFrom(
  undefined,
  'destination.service.name == "NAME"',
  'destination.service.name == "NAME" && source.namespace == "ops"',
  'destination.service.name == "NAME" || connection.mtls',
);
const mode = fc.constantFrom("enforce", "observe");
const template = fc.record({ match, mode, rules, hasLimit: fc.boolean() });

const held = fc.constantFrom(undefined, new Fault("of the wrong type"), ...names, "ops", "/admin/b", "robot-c");
const request: fc.Arbitrary<Attributes> = fc
  .record({
    "destination.service.name": held,
    "source.namespace": held,
    "request.url_path": held,
    "request.useragent": held,
    "connection.mtls": fc.constantFrom(true, false, undefined),
    "request.headers": fc.constantFrom({}, { "x-debug": "a" }, { "x-debug": "1" }, { "x-debug": "7" }),
  })
  .map((given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Attributes);

test("rules that were written alike decide, read, and are counted, as each of them says by itself", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(template, { minLength: 1, maxLength: 3 }),
      fc.array(request, { minLength: 1, maxLength: 12 }),
      async (templates, requests) => {
        const texts = templates.flatMap((each, i) =>
          names.map((name) =>
            [
              `policy: p${i}-${name}`,
              `mode: ${each.mode}`,
              ...(each.match === undefined ? [] : [`match: '${each.match}'`]),
              "check:",
              ...(each.hasLimit ? ["  - { name: a-limit, limit: 1000000/s }"] : []),
              ...each.rules.map(({ when, unless }, k) => {
                const parts = Object.entries({ when, unless }).filter(([, part]) => part !== undefined);
                return `  - { name: r${k}, deny: aborted${parts.map(([key, part]) => `, ${key}: '${part}'`).join("")} }`;
              }),
            ]
              .join("\n")
              .replaceAll("NAME", name),
          ),
        );
        const { snapshot, bag, checkNow, runtime } = await world(texts);
        const applied = new Map(snapshot.checks.map(({ id }) => [id, 0]));
        const index = new RuleIndex(snapshot.checks, snapshot.layout);
        for (const each of requests) {
          const plain = bag(each);
          completionOf(snapshot.layout)?.(plain);
          const found = index
            .rules(plain)
            .map((ordinal) => prepareRule(snapshot.checks[ordinal]!, snapshot, () => () => undefined));
          const apply = (kind: string): readonly PreparedRule[] => {
            const those = found.filter(
              (rule) => rule.kind === kind && applies(rule, matches(rule, plain), plain) !== false,
            );
            for (const { rule } of those) applied.set(rule.id, applied.get(rule.id)! + 1);
            return those;
          };
          const refusing = apply("deny").filter(({ unless }) => unless?.(plain) !== true);
          const idsIn = (mode: string): string[] =>
            refusing.flatMap(({ rule: { id, policy } }) => (policy.mode === mode ? [id] : []));
          // Limits are judged only where no rule refuses.
          if (idsIn("enforce").length === 0) apply("limit");
          const decision = checkNow(each);
          t.deepEqual(decision.rules, idsIn("enforce"));
          t.deepEqual(decision.observed, idsIn("observe"));
          t.deepEqual(readsOf(bag(each), decision), readsOf(bag(each), { reads: plain.reads() }));
        }
        t.deepEqual(new Map(Array.from(runtime.ruleTotals(), (each) => [each.rule.id, each.applied])), applied);
      },
    ),
    { numRuns: fuzzRuns(150) },
  );
});
