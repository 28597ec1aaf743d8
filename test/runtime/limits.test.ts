import test from "ava";
import { Fault } from "../../src/attributes/fault.ts";
import type { Asked } from "../../src/runtime/decision.ts";
import type { Charge, Grant } from "../../src/sdk/index.ts";
import { readsOf, stub, world } from "./world.ts";

function named(quotas: Readonly<Record<string, number>>, more: Omit<Asked, "quotas"> = {}, bestEffort = false): Asked {
  return { quotas: new Map(Object.entries(quotas).map(([name, amount]) => [name, { amount, bestEffort }])), ...more };
}

function grant(part: Partial<Grant> = {}): Grant {
  return { allowed: true, granted: 1, remaining: 5, resetMs: 100, validForMs: 1000, ...part };
}

test("named units of a window may be used until it ends, also those of a repeated answer", async (t) => {
  const rules = ["3000/month", "30/m, algorithm: fixed-window", "30/m, algorithm: sliding-window", "30/m"];
  const list = rules.map((rule, i) => `{ name: "l${i}", limit: ${rule} }`).join(", ");
  const { checkNow, clock } = await world(`policy: p\ncheck: [${list}]`);
  const valid = (asked: Asked): number[] =>
    rules.map((_, i) => checkNow({}, { ...asked, ...named({ [`l${i}`]: 1 }) }).quotas.get(`l${i}`)!.validForMs);
  const day = 86_400_000;
  // The clock begins with a January. A month of the calendar is lent for 30 days at most.
  t.deepEqual(valid({}), [30 * day, 60_000, 60_000, 60_000]);
  await clock.advance(30 * day + 20_000);
  t.deepEqual(valid({ dedupId: "x" }), [day - 20_000, 40_000, 60_000, 60_000]);
  await clock.advance(5000);
  t.deepEqual(valid({ dedupId: "x" }), [day - 25_000, 35_000, 60_000, 60_000]);
});

test("a limit refuses what is above it, and says when to come back", async (t) => {
  const { checkNow, clock } = await world(`policy: p\ncheck: [{ name: l, limit: 2/s }]`);
  t.deepEqual(checkNow({}).limits, [
    { rule: "p/l", allowed: true, amount: 2, windowMs: 1000, remaining: 1, resetMs: 500 },
  ]);
  checkNow({});
  const refused = checkNow({});
  t.like(refused, { allowed: false, code: 8, message: "p/l: the limit of 2/s is used up", rules: ["p/l"] });
  t.like(refused.limits[0], { allowed: false, remaining: 0, retryAfterMs: 500 });
  await clock.advance(500);
  t.true(checkNow({}).allowed);
});

test("each value of by has a count of its own, and so have an absent one and one that fails", async (t) => {
  const { checkNow, told } = await world(
    `policy: p\ncheck: [{ name: l, limit: 1/h, by: { key: 'request.headers["k"]', n: 'int(request.headers["n"])' } }]`,
  );
  const headers = [
    { k: "a", n: "1" },
    { k: "b", n: "1" },
    { k: "a", n: "2" },
    { n: "1" },
    { k: "(absent)", n: "1" },
    { k: "a", n: "x" },
  ];
  for (const each of headers) t.true(checkNow({ "request.headers": each }).allowed, JSON.stringify(each));
  for (const each of headers) t.false(checkNow({ "request.headers": each }).allowed, JSON.stringify(each));
  t.false(checkNow({ "request.headers": { k: "a", n: "y" } }).allowed, "garbage of any kind is one count");
  t.true(told.includes("absence p/l by") && told.includes("fault p/l by"));
});

test("a request costs what cost says; one that fails or is negative refuses", async (t) => {
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: l, limit: 10/h, cost: 'int(request.headers["cost"])' }]`,
  );
  const cost = (text?: string) => checkNow({ "request.headers": text === undefined ? {} : { cost: text } });
  t.is(cost("7").limits[0]!.remaining, 3);
  for (const bad of ["-1", "many", undefined]) t.like(cost(bad), { allowed: false, code: 8, limits: [] }, String(bad));
  t.false(cost("9223372036854775807").allowed);
  t.is(cost("0").limits[0]!.remaining, 3);
  t.true(cost("3").allowed);
});

test("a request that a deny or an ask refuses spends nothing", async (t) => {
  const { checkNow } = await world(`
policy: p
check:
  - { name: a, limit: 1/h }
  - { name: z, deny: aborted, when: request.path == "/x" }`);
  t.like(checkNow({ "request.path": "/x" }), { code: 10, limits: [] });
  t.true(checkNow({ "request.path": "/y" }).allowed);
});

test("several limits are charged all or nothing, and every one that refuses is named", async (t) => {
  const { checkNow } = await world(`
policy: p
check:
  - { name: a, limit: 5/h }
  - { name: b, limit: 1/h, by: request.path }
  - { name: c, limit: 1/h, by: request.path, message: too fast }`);
  t.true(checkNow({ "request.path": "/x" }).allowed);
  const refused = checkNow({ "request.path": "/x" });
  t.like(refused, { rules: ["p/b", "p/c"], message: "p/b: the limit of 1/h is used up; too fast" });
  t.deepEqual(
    refused.limits.map(({ rule, allowed, remaining }) => [rule, allowed, remaining]),
    [
      ["p/a", true, 4],
      ["p/b", false, 0],
      ["p/c", false, 0],
    ],
  );
  for (const path of ["/1", "/2", "/3", "/4"]) t.true(checkNow({ "request.path": path }).allowed);
  t.deepEqual(checkNow({ "request.path": "/5" }).rules, ["p/a"]);
});

test("a fault in the when of a limit follows onError; local charges", async (t) => {
  for (const [onError, codes] of [
    ["allow", [0, 0, 0]],
    ["deny", [14, 14, 14]],
    ["local", [0, 8, 8]],
  ] as const) {
    const { checkNow } = await world(
      `policy: p\ncheck: [{ name: l, limit: 1/h, when: 'int(request.headers["n"]) > 0', onError: ${onError} }]`,
    );
    t.deepEqual(
      codes.map(() => checkNow({ "request.headers": { n: "x" } }).code),
      [...codes],
      onError,
    );
  }
});

test("a limit whose store fails lets pass, refuses or counts here, as onError says; it is kept in no case", async (t) => {
  const down = stub("down", { quota: () => Promise.reject(new Error("secret")) });
  for (const [onError, codes] of [
    ["allow", [0, 0, 0]],
    ["deny", [14, 14, 14]],
    ["local", [0, 0, 8]],
  ] as const) {
    const { check } = await world(`policy: p\ncheck: [{ name: l, limit: 2/h, via: down, onError: ${onError} }]`, [
      down,
    ]);
    for (const code of codes) {
      const decision = await check({});
      t.like(decision, { code, validForMs: 0 }, onError);
      t.like(decision.limits[0], { degraded: true, allowed: code === 0 });
      t.false(decision.message.includes("secret"));
    }
  }
});

test("a check that names limits charges just those, by what it asks, and passes whatever they grant", async (t) => {
  const { checkNow } = await world(`
policy: p
check:
  - { name: a, limit: 10/h }
  - { name: b, limit: 1/h, cost: "1" }`);
  const first = checkNow({}, named({ a: 4 }));
  t.like(first, { allowed: true, validForMs: 5000 });
  t.like(first.quotas.get("a"), { granted: 4, code: 0, validForMs: 3_600_000 });
  t.deepEqual([...first.quotas.keys()], ["a"]);
  t.like(checkNow({}, named({ "p/a": 4 })).quotas.get("p/a"), { granted: 4 });
  const over = checkNow({}, named({ a: 4 }));
  t.true(over.allowed);
  t.like(over.quotas.get("a"), { granted: 0, code: 8, validForMs: 0, message: "p/a: the limit of 10/h is used up" });
  t.like(over.limits[0], { rule: "p/a", allowed: false, remaining: 2 });
  t.like(checkNow({}, named({ a: 4 }, {}, true)).quotas.get("a"), { granted: 2, code: 0 });
  t.true(
    checkNow({}).limits.some(({ rule, remaining }) => rule === "p/b" && remaining === 1),
    "b was never charged",
  );
});

test("named limits are charged all or nothing too", async (t) => {
  const { checkNow } = await world(`policy: p\ncheck: [{ name: a, limit: 10/h }, { name: b, limit: 1/h }]`);
  const { quotas } = checkNow({}, named({ a: 1, b: 2 }));
  t.like(quotas.get("a"), { granted: 0, code: 8, message: "nothing was taken, because p/b refused" });
  t.like(quotas.get("b"), { granted: 0, code: 8 });
  t.is(checkNow({}, named({ a: 0 })).limits[0]!.remaining, 10);
});

test("an unknown or ambiguous name is granted nothing, and one whose rule does not apply all of it", async (t) => {
  const { checkNow } = await world([
    `policy: p\ncheck: [{ name: a, limit: 1/h }, { name: only, limit: 1/h, when: request.path == "/x" }, { name: d, deny: aborted, when: "false" }]`,
    `policy: q\ncheck: [{ name: a, limit: 1/h }]`,
  ]);
  const { quotas, allowed } = checkNow({}, named({ nope: 5, a: 1, "q/a": 1, only: 50, d: 1 }));
  t.true(allowed);
  t.like(quotas.get("nope"), { granted: 0, code: 5, message: 'no limit is called "nope"' });
  t.like(quotas.get("a"), { granted: 0, code: 3 });
  t.like(quotas.get("q/a"), { granted: 1, code: 0 });
  t.like(quotas.get("only"), { granted: 50, code: 0, validForMs: 5000 });
  t.like(quotas.get("d"), { granted: 0, code: 5 });
});

test("amounts that are no amounts are granted nothing and spend nothing", async (t) => {
  const { checkNow } = await world(`policy: p\ncheck: [{ name: a, limit: 5/h }]`);
  for (const amount of [-1, NaN, Infinity, -Infinity]) {
    t.like(checkNow({}, named({ a: amount })).quotas.get("a"), { granted: 0, code: 3 }, String(amount));
  }
  t.like(checkNow({}, named({ a: 1e300 })).quotas.get("a"), { granted: 0, code: 8 });
  t.is(checkNow({}, named({ a: 0 })).limits[0]!.remaining, 5);
});

test("each named limit has references of its own, and the decision none of theirs", async (t) => {
  const { checkNow, bag } = await world(`
policy: p
check:
  - { name: d, deny: aborted, when: request.method == "POST" || request.method == "PUT" }
  - { name: a, limit: 5/h, by: source.namespace }
  - { name: b, limit: 5/h, when: 'request.path.startsWith("/x")' }`);
  const attributes = { "request.method": "GET", "source.namespace": "n", "request.path": "/y" };
  const decision = checkNow(attributes, named({ a: 1, b: 1 }));
  t.deepEqual(readsOf(bag(attributes), decision), ["request.method"]);
  t.deepEqual(readsOf(bag(attributes), decision.quotas.get("a")!), ["source.namespace"]);
  t.deepEqual(readsOf(bag(attributes), decision.quotas.get("b")!), ["request.path"]);
});

test("named limits of a refused request are not judged", async (t) => {
  const { checkNow } = await world(`policy: p\ncheck: [{ name: d, deny: aborted }, { name: a, limit: 5/h }]`);
  const decision = checkNow({}, named({ a: 1 }));
  t.is(decision.quotas.size, 0);
  t.false(decision.allowed);
});

test("a named limit that observes grants whole and takes from its own count", async (t) => {
  const { checkNow } = await world(`policy: p\nmode: observe\ncheck: [{ name: a, limit: 1/h }]`);
  t.like(checkNow({}, named({ a: 1 })).quotas.get("a"), { granted: 1 });
  const second = checkNow({}, named({ a: 1 }));
  t.like(second.quotas.get("a"), { granted: 1, code: 0 });
  t.deepEqual(second.observed, ["p/a"]);
});

test("a named limit whose store fails follows onError", async (t) => {
  const down = stub("down", { quota: () => Promise.reject(new Error("down")) });
  const { check } = await world(
    `policy: p\ncheck: [{ name: a, limit: 5/h, via: down }, { name: b, limit: 5/h, via: down, onError: local }, { name: c, limit: 5/h, via: down, onError: deny }]`,
    [down],
  );
  t.like((await check({}, named({ a: 2 }))).quotas.get("a"), { granted: 2, code: 0 });
  t.like((await check({}, named({ b: 6 }))).quotas.get("b"), { granted: 0, code: 8 });
  t.like((await check({}, named({ c: 1 }))).quotas.get("c"), { granted: 0, code: 14 });
});

test("a repeated deduplication id spends nothing, for the same caller, count and name only", async (t) => {
  const { checkNow } = await world(`policy: p\ncheck: [{ name: a, limit: 100/h, by: source.namespace }]`);
  const left = (dedupId: string, caller: string, namespace = "n", name?: string): number =>
    checkNow(
      { "source.namespace": namespace },
      { ...(name === undefined ? {} : named({ [name]: 1 })), dedupId, caller },
    ).limits[0]!.remaining;
  t.is(left("1", "ann"), 99);
  t.is(left("1", "ann"), 99);
  t.is(left("1", "bob"), 98);
  t.is(left("2", "ann"), 97);
  t.is(left("1", "ann", "other"), 99, "another count is another charge");
  t.is(left("1", "ann", "n", "a"), 96, "and so is another name");
  t.is(left("", "ann"), 95);
  t.is(left("", "ann"), 94, "an empty id is none");
  t.is(left("x".repeat(100_000), "ann"), 93);
});

test("limits of the rate limit doors are not charged by a check", async (t) => {
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: r, limit: 1/h, at: ratelimit }, { name: c, limit: 9/h }]`,
  );
  t.deepEqual(
    checkNow({}).limits.map(({ rule }) => rule),
    ["p/c"],
  );
});

/** A store that writes down what it is asked and answers as told. */
function store(
  name: string,
  answer: (charges: readonly Charge[]) => readonly Grant[] | Promise<readonly Grant[]>,
  refunds: boolean,
) {
  const log: string[] = [];
  const line = (what: string, charges: readonly Charge[]): void => {
    log.push(`${what} ${charges.map(({ limit, amount }) => `${limit.id}:${amount}`).join(" ")}`);
  };
  const adapter = stub(name, {
    quota: (charges) => {
      line("take", charges);
      return answer(charges);
    },
    ...(refunds ? { refund: (charges: readonly Charge[]) => line("refund", charges) } : {}),
  });
  return { adapter, log };
}

const twoStores = `
policy: p
check:
  - { name: a, limit: 10/h, via: one, cost: "3" }
  - { name: b, limit: 10/h, via: one }
  - { name: c, limit: 10/h, via: two }`;

test("over several stores, what one granted is given back when another refuses", async (t) => {
  const one = store("one", (charges) => charges.map(({ amount }) => grant({ granted: amount })), true);
  const two = store("two", () => [grant({ allowed: false, granted: 0, retryAfterMs: 10 })], true);
  const { checkNow } = await world(twoStores, [one.adapter, two.adapter]);
  const decision = checkNow({});
  t.deepEqual(decision.rules, ["p/c"]);
  t.deepEqual(one.log, ["take p/a:3 p/b:1", "refund p/a:3 p/b:1"]);
  t.deepEqual(two.log, ["take p/c:1"]);
});

test("a store that cannot give back is asked last", async (t) => {
  const one = store("one", (charges) => charges.map(() => grant()), false);
  const two = store("two", () => [grant({ allowed: false, granted: 0 })], true);
  const { checkNow } = await world(twoStores, [one.adapter, two.adapter]);
  t.deepEqual(checkNow({}).rules, ["p/c"]);
  t.deepEqual(one.log, []);
});

test("what cannot be given back is counted", async (t) => {
  const one = store("one", (charges) => charges.map(() => grant()), false);
  const two = store("two", () => [grant({ allowed: false, granted: 0 })], false);
  const { checkNow, told } = await world(twoStores, [one.adapter, two.adapter]);
  t.false(checkNow({}).allowed);
  t.true(told.includes("dropped refund not_supported 2"));
});

test("the answer to a repeated id is not given back: nothing was spent for it", async (t) => {
  const one = store(
    "one",
    (charges) => charges.map((_, i) => (i === 0 ? grant({ granted: 3, repeated: true }) : grant())),
    true,
  );
  const two = store("two", () => [grant({ allowed: false, granted: 0 })], true);
  const { checkNow } = await world(twoStores, [one.adapter, two.adapter]);
  checkNow({});
  t.is(one.log[1], "refund p/b:1");
});

test("stores that answer later are asked in turn, and one that fails with onError: deny gives back the rest", async (t) => {
  const one = store("one", async (charges) => charges.map(({ amount }) => grant({ granted: amount })), true);
  const two = store("two", () => Promise.reject(new Error("down")), true);
  const { check } = await world(`${twoStores.trimEnd().slice(0, -2)}, onError: deny }`, [one.adapter, two.adapter]);
  t.like(await check({}), { allowed: false, code: 14, rules: ["p/c"] });
  t.deepEqual(one.log, ["take p/a:3 p/b:1", "refund p/a:3 p/b:1"]);
});

test("a refusal for want of units wins over a store that does not answer", async (t) => {
  const full = store("full", (charges) => charges.map(() => grant({ allowed: false, granted: 0 })), true);
  const down = stub("down", {
    quota: () => {
      throw new Error("down");
    },
  });
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: a, limit: 1/h, via: down, onError: allow }, { name: b, limit: 1/h, via: full }]`,
    [full.adapter, down],
  );
  t.is(checkNow({}).code, 8);
});

test("an attribute of the wrong type is a fault wherever a limit reads it", async (t) => {
  const { checkNow } = await world(`policy: p\ncheck: [{ name: a, limit: 1/h, by: source.namespace }]`);
  t.true(checkNow({ "source.namespace": new Fault("wrong type") }).allowed);
  t.false(checkNow({ "source.namespace": new Fault("wrong type") }).allowed);
  t.true(checkNow({}).allowed);
});

const budgets = `
policy: p
check:
  - name: spend
    limit: 10/d
    algorithm: fixed-window
    by: request.headers["org"]
    levels:
      - { name: team, limit: 6/d, algorithm: fixed-window, by: 'request.headers["team"]' }
      - { name: user, limit: 3/d, algorithm: fixed-window, by: 'request.headers["user"]' }
`;

test("a limit and its levels are charged all or nothing, each level within those above it", async (t) => {
  const { checkNow } = await world(budgets);
  const take = (org: string, team: string, user: string) => checkNow({ "request.headers": { org, team, user } }).rules;
  for (let i = 0; i < 3; i++) t.deepEqual(take("o", "a", "ann"), []);
  t.deepEqual(take("o", "a", "ann"), ["p/spend#user"]);
  for (let i = 0; i < 3; i++) t.deepEqual(take("o", "a", "bob"), []);
  t.deepEqual(take("o", "a", "cid"), ["p/spend#team"]);
  t.deepEqual(take("o", "a", "ann"), ["p/spend#team", "p/spend#user"]);
  for (let i = 0; i < 3; i++) t.deepEqual(take("o", "b", "ann"), [], "ann of another team is somebody else");
  t.deepEqual(take("o", "b", "dan"), [], "what was refused spent nothing");
  t.deepEqual(take("o", "c", "eve"), ["p/spend"]);
  t.deepEqual(take("other", "a", "ann"), []);
});

test("who names a limit with levels takes from all of them; a level cannot be named by itself", async (t) => {
  const { checkNow } = await world(budgets);
  const take = (name: string, amount: number) => {
    const quotas = new Map([[name, { amount, bestEffort: true }]]);
    const { granted, code } = checkNow(
      { "request.headers": { org: "o", team: "a", user: "u" } },
      { quotas },
    ).quotas.get(name)!;
    return [granted, code];
  };
  t.deepEqual(take("spend", 4), [0, 8], "the user has 3: nothing is taken in part");
  t.deepEqual(take("p/spend", 3), [3, 0]);
  t.deepEqual(take("spend", 1), [0, 8]);
  t.deepEqual(take("spend#team", 1), [0, 5]);
});

test("levels at the rate limit doors apply where what they count by is there", async (t) => {
  const { rateLimitNow } = await world(`
policy: p
check:
  - name: spend
    limit: 4/d
    by: ratelimit.descriptor["org"]
    levels:
      - { name: user, limit: 2/d, by: 'ratelimit.descriptor["user"]' }
`);
  const take = (descriptor: Record<string, string>) =>
    rateLimitNow([[{ "ratelimit.descriptor": descriptor }]]).descriptors[0]!.limits.map(({ rule, remaining }) => [
      rule,
      remaining,
    ]);
  t.deepEqual(take({ org: "o" }), [["p/spend", 3]]);
  t.deepEqual(take({ org: "o", user: "u" }), [
    ["p/spend", 2],
    ["p/spend#user", 1],
  ]);
  t.deepEqual(take({ org: "o", user: "u" }), [
    ["p/spend", 1],
    ["p/spend#user", 0],
  ]);
  t.false(rateLimitNow([[{ "ratelimit.descriptor": { org: "o", user: "u" } }]]).allowed);
});

test("a value of a megabyte has a count of its own, and costs no more memory than a short one", async (t) => {
  const seen: Charge[] = [];
  const store = stub("store", {
    quota(charges) {
      seen.push(...charges);
      return charges.map(() => grant());
    },
  });
  const { checkNow } = await world(`policy: p\ncheck: [{ name: l, limit: 1/h, by: request.path, via: store }]`, [
    store,
  ]);
  const long = "x".repeat(1024 * 1024);
  for (const path of [long, `${long}a`, `${long}b`, long]) checkNow({ "request.path": path });
  t.is(new Set(seen.map(({ key }) => key)).size, 3);
  t.true(seen.every(({ key }) => key.length <= 256));
});
