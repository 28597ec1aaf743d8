import test from "ava";
import fc from "fast-check";
import { Bag, emptyMap } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { parseJsonValue } from "../../src/attributes/text.ts";
import type { StringMap } from "../../src/attributes/value.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import type { Decision } from "../../src/runtime/decision.ts";
import { referencesOf, type Reference } from "../../src/wire/references.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { stub, world } from "./world.ts";

/**
 * A client keeps an answer and gives it to every request that agrees with the first in what the answer refers to. So
 * whatever the policies, two requests that agree must get the same answer: here policies and requests are random.
 */

type Held = string | number | boolean | Fault | Readonly<Record<string, string>>;
type Request = Readonly<Record<string, Held>>;

const fault = new Fault("of the wrong type");
const text = fc.constantFrom("a", "b", "1", "");
const map = fc.dictionary(fc.constantFrom("x", "y", "z"), text, { maxKeys: 3 });
/** What each attribute may hold; each may be absent too. */
const domains = {
  "source.namespace": text,
  "destination.namespace": text,
  "destination.service.name": text,
  "request.path": fc.constantFrom("/a", "/a/b", "1"),
  "connection.mtls": fc.boolean(),
  "destination.port": fc.constantFrom(0, 1, 8080),
  "source.ip": fc.constantFrom("10.0.0.1", "10.0.0.2", "2001:db8::1"),
  "request.headers": map,
  "source.labels": map,
} as const satisfies Record<string, fc.Arbitrary<Held>>;
type Name = keyof typeof domains;
const names = Object.keys(domains) as Name[];
const isMap = (name: string): boolean => name === "request.headers" || name === "source.labels";

const request: fc.Arbitrary<Request> = fc
  .tuple(
    ...names.map((name) =>
      fc.oneof(
        { weight: 8, arbitrary: domains[name] as fc.Arbitrary<Held> },
        { weight: 2, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.constant(fault) },
      ),
    ),
  )
  .map((values) =>
    Object.fromEntries(
      names
        .map((name, i) => [name, values[i]] as const)
        .filter((entry): entry is [Name, Held] => entry[1] !== undefined),
    ),
  );

const { bool, string } = fc.letrec<{ bool: string; string: string; int: string }>((tie) => {
  const form = (template: string, ...kinds: ("bool" | "string" | "int")[]) =>
    fc
      .tuple(...kinds.map((kind) => tie(kind)))
      .map((parts) => template.replaceAll(/#(\d)/g, (_, i: string) => `(${parts[Number(i)]})`));
  const leafy = (leaf: fc.Arbitrary<string>, ...rest: fc.Arbitrary<string>[]) =>
    fc.oneof({ depthSize: "small", withCrossShrink: true }, leaf, ...rest);
  const mapName = fc.constantFrom("request.headers", "source.labels");
  const key = fc.constantFrom("x", "y", "z");
  const known = fc.oneof(
    fc.constantFrom(...names),
    fc.tuple(mapName, key).map(([name, field]) => `${name}["${field}"]`),
  );
  return {
    string: leafy(
      fc.oneof(
        text.map((value) => JSON.stringify(value)),
        fc.constantFrom("source.namespace", "destination.namespace", "destination.service.name", "request.path"),
        fc.tuple(mapName, key).map(([name, field]) => `${name}["${field}"]`),
      ),
      fc.tuple(mapName, tie("string")).map(([name, field]) => `${name}[${field}]`),
      form("#0 + #1", "string", "string"),
      form("#0 ? #1 : #2", "bool", "string", "string"),
      form("string(#0)", "int"),
    ),
    int: leafy(
      fc.oneof(
        fc.constantFrom("0", "1", "2", "destination.port"),
        mapName.map((name) => `size(${name})`),
      ),
      form("size(#0)", "string"),
      form("int(#0)", "string"),
      form("#0 / #1", "int", "int"),
    ),
    bool: leafy(
      fc.oneof(
        fc.constantFrom("connection.mtls", 'inCidr(source.ip, "10.0.0.1/32")'),
        known.map((name) => `has(${name})`),
        fc.tuple(mapName, key).map(([name, field]) => `"${field}" in ${name}`),
      ),
      fc.tuple(mapName, tie("string")).map(([name, field]) => `(${field}) in ${name}`),
      fc
        .tuple(mapName, fc.constantFrom("exists", "all", "exists_one"), tie("string"))
        .map(([name, macro, value]) => `${name}.${macro}(k, k == (${value}))`),
      form("#0 == #1", "string", "string"),
      form("#0.startsWith(#1)", "string", "string"),
      form("#0 in [#1, #2]", "string", "string", "string"),
      form("#0 < #1", "int", "int"),
      form("!#0", "bool"),
      form("#0 && #1", "bool", "bool"),
      form("#0 || #1", "bool", "bool"),
      form("#0 ? #1 : #2", "bool", "bool", "bool"),
      fc.constantFrom("source.labels == request.headers"),
    ),
  };
});

/** A test that the rules' index can use. */
const equality = fc
  .tuple(fc.constantFrom("destination.service.name", "source.namespace", "request.path"), text)
  .map(([name, value]) => `${name} == "${value}"`);
const condition = fc.oneof(
  bool,
  equality,
  fc.tuple(equality, bool).map(([left, right]) => `${left} && (${right})`),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const rule = fc.record({
  kind: fc.constantFrom("deny", "deny", "ask", "headers", "limit"),
  when: optional(condition),
  unless: optional(condition),
  value: string,
  onError: fc.constantFrom("deny", "allow"),
});
const policy = fc.record({
  namespace: optional(fc.constantFrom("a", "b")),
  match: optional(condition),
  mode: fc.constantFrom("enforce", "enforce", "observe"),
  rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
});

function yaml(policies: readonly (typeof policy extends fc.Arbitrary<infer T> ? T : never)[]): string {
  const documents = policies.map(({ namespace, match, mode, rules }, i) => ({
    policy: `p${i}`,
    ...(namespace !== undefined && { namespace }),
    ...(match !== undefined && { match }),
    mode,
    check: rules.map(({ kind, when, unless, value, onError }, k) => ({
      name: `r${k}`,
      ...(kind === "deny" && { deny: "permission_denied" }),
      ...(kind === "ask" && { ask: "oracle", with: { value }, onError }),
      ...(kind === "headers" && { headers: { request: { set: { [`x-${k}`]: value } } } }),
      ...(kind === "limit" && { limit: "1000000/s", by: { value }, onError }),
      ...(when !== undefined && { when }),
      ...(unless !== undefined && { unless }),
    })),
  }));
  // JSON is YAML.
  return documents.map((document) => JSON.stringify(document)).join("\n---\n");
}

/** Fills a bag as the Mixer door does. */
function bagOf({ layout, vocabulary }: Snapshot, attributes: Request): Bag {
  const bag = new Bag(layout);
  for (const [name, held] of Object.entries(attributes)) {
    const slot = layout.find(name);
    if (slot === undefined) continue;
    const keys = layout.keysOf(name) ?? new Map<string, number>();
    if (held instanceof Fault) {
      for (const at of [slot, ...keys.values()]) bag.set(at, held);
      continue;
    }
    const value = parseJsonValue(vocabulary.get(name)!.type, held)!;
    bag.set(slot, !isMap(name) || layout.isWhole(slot) ? value : emptyMap);
    for (const [key, at] of keys) bag.set(at, (value as StringMap).get(key));
  }
  return bag;
}

/** The other request, changed so that it agrees with the first in everything that is referred to. */
function agreeing(first: Request, other: Request, references: readonly Reference[]): Request {
  const result: Record<string, Held> = { ...other };
  // What is said of a whole attribute first: a key may then be taken out of a map, or put into it.
  const sorted = [...references].sort((a, b) => Number(a.key !== undefined) - Number(b.key !== undefined));
  for (const { name, key, condition } of sorted) {
    const mine = first[name];
    if (key === undefined) {
      if (condition === "absent") delete result[name];
      else result[name] = mine!;
      continue;
    }
    if (mine instanceof Fault) {
      result[name] = mine;
      continue;
    }
    const theirs = result[name];
    if (condition === "absent") {
      // Whoever has no such map has no such key either.
      if (typeof theirs === "object" && !(theirs instanceof Fault)) {
        result[name] = Object.fromEntries(Object.entries(theirs).filter(([field]) => field !== key));
      } else if (theirs !== undefined) delete result[name];
    } else {
      const fields = typeof theirs === "object" && !(theirs instanceof Fault) ? theirs : {};
      result[name] = { ...fields, [key]: (mine as Readonly<Record<string, string>>)[key]! };
    }
  }
  return result;
}

/** What a client acts on. */
function answerOf({ allowed, code, message, rules, requestHeaders, responseHeaders }: Decision) {
  return { allowed, code, message, rules, requestHeaders, responseHeaders };
}

test("requests that agree in what an answer refers to get the same answer, whatever the policies", async (t) => {
  const oracle = stub("oracle", {
    check: ({ value }) => ({ allow: String(value).length % 2 === 0, message: `asked about ${String(value)}` }),
  });
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(request, request), { minLength: 1, maxLength: 20, size: "max" }),
      async (policies, pairs) => {
        const { runtime, snapshot } = await world(yaml(policies), [oracle]);
        const serving = runtime.acquire();
        for (const [first, other] of pairs) {
          const bag = bagOf(snapshot, first);
          const decision = serving.check(bag, {}) as Decision;
          if (decision.validForMs === 0) continue;
          kept++;
          const references = referencesOf(bag, decision.reads);
          const like = agreeing(first, other, references);
          const second = serving.check(bagOf(snapshot, like), {}) as Decision;
          t.deepEqual(answerOf(second), answerOf(decision), JSON.stringify({ first, like, references }));
        }
        serving.release();
        await runtime.close(0);
      },
    ),
    { numRuns: fuzzRuns(300) },
  );
  t.true(kept > 1000, `${kept} answers could be kept`);
});

test("an answer for want of a key in a map says so of the map too, where a request without the map gets another", async (t) => {
  const { runtime, snapshot } = await world(
    yaml([
      {
        namespace: undefined,
        match: undefined,
        mode: "enforce",
        rules: [{ kind: "deny", when: '!("x" in request.headers)', unless: undefined, value: "", onError: "deny" }],
      },
    ]),
  );
  const serving = runtime.acquire();
  const referred = (attributes: Request): [boolean, Reference[]] => {
    const bag = bagOf(snapshot, attributes);
    const decision = serving.check(bag, {}) as Decision;
    return [decision.allowed, referencesOf(bag, decision.reads)];
  };
  const name = "request.headers";
  t.deepEqual(referred({ [name]: { x: "" } }), [true, [{ name, key: "x", condition: "present" }]]);
  const without: Reference[] = [
    { name, key: "x", condition: "absent" },
    { name, condition: "whole" },
  ];
  t.deepEqual(referred({ [name]: {} }), [false, without]);
  t.deepEqual(referred({}), [true, [{ name, condition: "absent" }]]);
  serving.release();
});
