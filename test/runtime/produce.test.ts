import test from "ava";
import { z } from "zod";
import { attributesContract } from "../../src/sdk/testing/attributes-contract.ts";
import type { Adapter } from "../../src/sdk/index.ts";
import { fakeHost, makeInstance, testAdapter } from "../../src/sdk/testing.ts";
import { referencesOf } from "../../src/wire/references.ts";
import teams from "../sdk/examples/teams.ts";
import { world } from "./world.ts";

/** Who owns an account: what it answers is changed by the test. */
function directory(owners: Map<string, unknown>, asked: unknown[] = []): Adapter {
  return {
    name: "directory",
    provides: ["attributes"],
    input: { account: "string", "namespace?": "string" },
    outputs: { team: "string", since: "timestamp", cost: "int64", labels: "string_map", address: "ip" },
    config: z.looseObject({}),
    create: () => ({
      attributes(input) {
        asked.push(input);
        const known = owners.get((input as { account: string }).account);
        if (known instanceof Error) throw known;
        return known as never;
      },
    }),
  };
}

const config = `
adapters: { directory: {} }
attributes:
  source.team: { type: string, from: directory, output: team, with: { account: source.principal } }
  source.labels: { type: string_map, from: directory, output: labels, with: { account: source.principal } }
  source.cost: { type: int64, from: directory, output: cost, with: { account: source.principal } }
  source.since: { type: timestamp, from: directory, output: since, with: { account: source.principal } }
  origin.ip: { type: ip, from: directory, output: address, with: { account: 'request.headers["x-account"]' } }
`;

const policy = `
policy: p
check:
  - { name: team, deny: permission_denied, unless: 'source.team == "payments"' }
`;

const said = (bag: Parameters<typeof referencesOf>[0], reads: Parameters<typeof referencesOf>[1]): string[] =>
  referencesOf(bag, reads)
    .map(
      ({ name, key, condition }) => `${condition === "absent" ? "-" : ""}${name}${key === undefined ? "" : `[${key}]`}`,
    )
    .sort();

test("an attribute that an adapter makes is read like one that the request brings", async (t) => {
  const asked: unknown[] = [];
  const owners = new Map<string, unknown>([
    ["ann", { team: "payments" }],
    ["bob", { team: "books" }],
  ]);
  const { checkNow } = await world(policy, [directory(owners, asked)], { config });
  t.true(checkNow({ "source.principal": "ann" }).allowed);
  t.is(checkNow({ "source.principal": "bob" }).code, 7);
  // It knows nothing of this one: what is missing opens no door.
  t.is(checkNow({ "source.principal": "eve" }).code, 7);
  t.deepEqual(asked, [{ account: "ann" }, { account: "bob" }, { account: "eve" }]);
  owners.set("bob", { team: "payments" });
  t.true(checkNow({ "source.principal": "bob" }).allowed);
});

test("what the request brings wins, and what an input needs and is not there asks nobody", async (t) => {
  const asked: unknown[] = [];
  const { checkNow } = await world(policy, [directory(new Map([["bob", { team: "books" }]]), asked)], { config });
  t.true(checkNow({ "source.principal": "bob", "source.team": "payments" }).allowed);
  t.false(checkNow({}).allowed);
  t.deepEqual(asked, []);
});

test("an adapter is asked once for all attributes that are asked for alike, and only for those that rules read", async (t) => {
  const asked: unknown[] = [];
  const known = {
    team: "a",
    labels: new Map([["tier", "gold"]]),
    cost: 2,
    since: new Date("2026-01-02T03:04:05Z"),
    address: "192.0.2.7",
  };
  const rule = (when: string) => `policy: p\ncheck:\n  - { name: r, deny: aborted, when: '${when}' }\n`;
  const all =
    'source.team == "a" && source.labels["tier"] == "gold" && source.cost == 2 && source.since == timestamp("2026-01-02T03:04:05Z")';
  const adapter = directory(new Map([["ann", known]]), asked);
  const { checkNow } = await world(rule(all), [adapter], { config });
  t.is(checkNow({ "source.principal": "ann" }).code, 10);
  t.is(asked.length, 1);
  const other = await world(rule('origin.ip == ip("::ffff:192.0.2.7")'), [adapter], { config });
  t.is(other.checkNow({ "request.headers": { "x-account": "ann" } }).code, 10);
  t.is(asked.length, 2);
  const none = await world(rule('request.path == "/x"'), [adapter], { config });
  none.checkNow({ "source.principal": "ann", "request.path": "/x" });
  t.is(asked.length, 2);
  t.deepEqual(
    none.snapshot.layout.slots.map(({ name }) => name),
    ["request.path"],
  );
});

test("an answer that rests on it rests on what the adapter was asked with", async (t) => {
  const owners = new Map([["ann", { team: "payments" }]]);
  const { bag, runtime } = await world(policy, [directory(owners)], { config });
  const serving = runtime.acquire();
  for (const [attributes, expected] of [
    [{ "source.principal": "ann" }, ["-source.team", "source.principal"]],
    [{}, ["-source.principal", "-source.team"]],
    [{ "source.team": "x" }, ["source.team"]],
  ] as const) {
    const request = bag(attributes);
    const decision = serving.check(request, {});
    if (decision instanceof Promise) throw new Error("expected an answer at once");
    t.deepEqual(said(request, decision.reads), expected);
  }
  serving.release();
});

test("an adapter that throws, and a value of another type, are faults that open no door, and are counted and told", async (t) => {
  const owners = new Map<string, unknown>([
    ["throws", new Error("secret")],
    ["number", { team: 7 }],
    ["text", "payments"],
    ["later", Promise.resolve({ team: "payments" })],
  ]);
  const rules = `policy: p\ncheck:\n  - { name: when, deny: aborted, when: 'source.team == "x"' }\n`;
  const { checkNow, told, lines } = await world(rules, [directory(owners)], { config });
  for (const account of owners.keys()) {
    const decision = checkNow({ "source.principal": account });
    t.is(decision.code, 10, account);
    t.false(decision.message.includes("secret"));
  }
  t.is(told.filter((each) => each === "call directory attributes fault").length, 4);
  t.is(lines.filter(({ level }) => level === "warn").length, 1);
  // Not known is absence, of which a `when` says that the rule does not apply.
  t.true(checkNow({ "source.principal": "eve" }).allowed);
});

test("limits count by it at each door, also when what the adapter knows changes", async (t) => {
  const owners = new Map([["ann", { team: "one" }]]);
  const limits = `
policy: p
check:
  - { name: check, limit: 1/h, by: source.team }
  - { name: descriptor, limit: 1/h, by: source.team, at: ratelimit }
`;
  const { checkNow, rateLimitNow } = await world(limits, [directory(owners)], { config });
  const request = { "source.principal": "ann" };
  const both = () => [checkNow(request).allowed, rateLimitNow([[request]]).allowed];
  t.deepEqual(both(), [true, true]);
  t.deepEqual(both(), [false, false]);
  owners.set("ann", { team: "two" });
  t.deepEqual(both(), [true, true]);
  t.deepEqual(both(), [false, false]);
});

testAdapter(test, teams, {
  config: { teams: { ann: "payments" } },
  attributes: [
    { input: { account: "ann" }, outputs: { team: "payments" } },
    { input: { account: "eve" }, outputs: {} },
  ],
});

test("testAdapter: adapters that make attributes and break the contract fail", async (t) => {
  const wrong: Record<string, () => unknown> = {
    later: () => Promise.resolve({ team: "payments" }),
    "of another type": () => ({ team: 3 }),
    "not declared": () => ({ team: "payments", taem: "x" }),
    another: () => ({ team: "books" }),
  };
  for (const [title, attributes] of Object.entries(wrong)) {
    const adapter = { ...teams, create: () => ({ attributes }) } as unknown as typeof teams;
    const host = fakeHost();
    const instance = await makeInstance(adapter, { teams: {} }, host);
    const contract = attributesContract(adapter, [{ input: { account: "ann" }, outputs: { team: "payments" } }]);
    const fixture = { instance: instance as never, host, call: undefined as never, close: async () => undefined };
    const failures = await Promise.allSettled(contract.map(async ({ run }) => run(fixture)));
    t.true(
      failures.some(({ status }) => status === "rejected"),
      title,
    );
    host.close();
  }
});
