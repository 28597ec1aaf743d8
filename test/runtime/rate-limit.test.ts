import test from "ava";
import { Fault } from "../../src/attributes/fault.ts";
import type { RateLimitDecision } from "../../src/runtime/rate-limit-decision.ts";
import type { Charge, Grant } from "../../src/sdk/index.ts";
import { recorder, stub, world } from "./world.ts";

function descriptor(entries: Readonly<Record<string, string>>) {
  return { "ratelimit.domain": "edge", "ratelimit.descriptor": entries };
}

const ann = descriptor({ user: "ann" });
const bob = descriptor({ user: "bob" });

/** `rule remaining` of each limit, descriptor by descriptor; `!` where it refuses. */
function shown({ descriptors }: RateLimitDecision): string[] {
  return descriptors.map(({ limits }) =>
    limits.map(({ rule, allowed, remaining }) => `${allowed ? "" : "!"}${rule} ${remaining}`).join(", "),
  );
}

const perUser = `
policy: p
match: ratelimit.domain == "edge"
check:
  - { name: user, limit: 3/h, by: 'ratelimit.descriptor["user"]' }
  - { name: path, limit: 10/h, by: 'ratelimit.descriptor["path"]' }`;

test("only limits of the rate limit doors are judged, each descriptor as one request", async (t) => {
  const { rateLimitNow } = await world([
    perUser,
    `policy: q\ncheck: [{ name: d, deny: aborted }, { name: c, limit: 1/h }]`,
  ]);
  const decision = rateLimitNow([[ann], [descriptor({ path: "/x" })], [descriptor({ other: "y" })]]);
  t.like(decision, { allowed: true, code: 0, message: "", rules: [], observed: [] });
  t.deepEqual(shown(decision), ["p/user 2", "p/path 9", ""]);
  t.true(decision.descriptors.every(({ allowed }) => allowed));
});

test("a limit applies only where all is there that its match, when and by read, but for what has() tests", async (t) => {
  const { rateLimitNow } = await world(`
policy: p
match: ratelimit.domain != "other"
check:
  - { name: both, limit: 9/h, by: { a: 'ratelimit.descriptor["a"]', b: 'ratelimit.descriptor["b"]' } }
  - { name: either, limit: 9/h, when: 'ratelimit.descriptor["a"] == "1" || ratelimit.descriptor["b"] == "1"' }
  - { name: nobody, limit: 9/h, when: '!has(ratelimit.descriptor["a"])' }
  - { name: kept, limit: 9/h, when: '!has(ratelimit.descriptor["c"]) || ratelimit.descriptor["c"] == "1"', by: 'ratelimit.descriptor["b"]' }
  - { name: excused, limit: 9/h, by: 'ratelimit.descriptor["a"]', unless: 'ratelimit.descriptor["b"] == "2"' }`);
  const rules = (entries: Readonly<Record<string, string>>): string[] =>
    rateLimitNow([[descriptor(entries)]]).descriptors[0]!.limits.map(({ rule }) => rule.slice(2));
  t.deepEqual(rules({ a: "1" }), ["excused"]);
  t.deepEqual(rules({ b: "1" }), ["kept", "nobody"]);
  t.deepEqual(rules({ a: "1", b: "0" }), ["both", "either", "excused", "kept"]);
  t.deepEqual(rules({ a: "0", b: "2" }), ["both", "kept"]);
  t.deepEqual(rules({ a: "0", b: "2", c: "0" }), ["both"]);
  t.deepEqual(
    rateLimitNow([[{ "ratelimit.descriptor": { a: "1", b: "1" } }]]).descriptors[0]!.limits,
    [],
    "without a domain the match does not hold",
  );
});

test("a request that one limit refuses takes nothing of any, and says where all of them stand", async (t) => {
  const { rateLimitNow, told } = await world(perUser);
  rateLimitNow([[ann, { hits: 3 }]]);
  const refused = rateLimitNow([[bob], [ann], [descriptor({ path: "/x" })], [descriptor({})]]);
  t.like(refused, { allowed: false, code: 8, rules: ["p/user"], message: "p/user: the limit of 3/h is used up" });
  t.deepEqual(shown(refused), ["p/user 3", "!p/user 0", "p/path 10", ""]);
  t.deepEqual(
    refused.descriptors.map(({ allowed }) => allowed),
    [true, false, true, true],
  );
  t.true(refused.descriptors[1]!.limits[0]!.retryAfterMs! > 0);
  t.deepEqual(shown(rateLimitNow([[bob]])), ["p/user 2"]);
  t.true(told.includes("refusal p/user enforce"));
});

test("descriptors that count on one counter add up", async (t) => {
  const { rateLimitNow } = await world(perUser);
  t.like(
    rateLimitNow([
      [ann, { hits: 2 }],
      [ann, { hits: 2 }],
    ]),
    { allowed: false, rules: ["p/user"] },
  );
  t.deepEqual(shown(rateLimitNow([[ann], [ann, { hits: 2 }]])), ["p/user 2", "p/user 0"]);
});

test("hits come before the cost; without them the cost counts", async (t) => {
  const { rateLimitNow } = await world(
    `policy: p\ncheck: [{ name: l, limit: 100/h, at: ratelimit, cost: 'int(ratelimit.descriptor["cost"])' }]`,
  );
  const cost = (text: string) => descriptor({ cost: text });
  t.deepEqual(shown(rateLimitNow([[cost("7")]])), ["p/l 93"]);
  t.deepEqual(shown(rateLimitNow([[cost("7"), { hits: 2 }]])), ["p/l 91"]);
  const broken = rateLimitNow([[cost("x")], [cost("1")]]);
  t.like(broken, { allowed: false, code: 8, message: "p/l: the cost cannot be computed" });
  t.deepEqual(shown(broken), ["!p/l 0", "p/l 91"]);
  t.deepEqual(shown(rateLimitNow([[cost("x"), { hits: 1 }]])), ["p/l 90"]);
  t.deepEqual(shown(rateLimitNow([[cost("0")]])), ["p/l 90"]);
});

test("0 hits ask whether a unit is left, and take nothing", async (t) => {
  const { rateLimitNow } = await world(perUser);
  const ask = () => rateLimitNow([[ann, { hits: 0 }]]);
  t.deepEqual([shown(ask()), shown(ask())], [["p/user 3"], ["p/user 3"]]);
  rateLimitNow([[ann, { hits: 3 }]]);
  const over = rateLimitNow([[bob], [ann, { hits: 0 }]]);
  t.deepEqual(shown(over), ["p/user 3", "!p/user 0"]);
  t.true(over.descriptors[1]!.limits[0]!.retryAfterMs! > 0);
});

test("hits below 0 give back, no more than was taken, and only when nothing refuses", async (t) => {
  const { rateLimitNow } = await world(perUser);
  rateLimitNow([
    [ann, { hits: 3 }],
    [bob, { hits: 2 }],
  ]);
  t.deepEqual(shown(rateLimitNow([[ann], [bob, { hits: -1 }]])), ["!p/user 0", "p/user 1"]);
  t.deepEqual(
    shown(
      rateLimitNow([
        [ann, { hits: -2 }],
        [bob, { hits: 1 }],
      ]),
    ),
    ["p/user 2", "p/user 0"],
  );
  t.deepEqual(shown(rateLimitNow([[ann, { hits: -1e15 }]])), ["p/user 3"]);
  t.deepEqual(shown(rateLimitNow([[descriptor({ user: "new" }), { hits: -5 }]])), ["p/user 3"]);
});

test("an override changes amount and window, and counts apart", async (t) => {
  const { rateLimitNow } = await world(perUser);
  const override = { amount: 2, windowMs: 60_000 };
  const first = rateLimitNow([[ann, { override }], [ann]]);
  t.deepEqual(shown(first), ["p/user 1", "p/user 2"]);
  t.like(first.descriptors[0]!.limits[0], { amount: 2, windowMs: 60_000 });
  rateLimitNow([[ann, { override }]]);
  t.like(rateLimitNow([[ann, { override }]]), { allowed: false, message: "p/user: the limit of 2/m is used up" });
  rateLimitNow([[ann, { hits: 2 }]]);
  t.true(rateLimitNow([[ann, { override: { amount: 1e9, windowMs: 1000 } }]]).allowed);
  t.false(rateLimitNow([[ann]]).allowed, "a large override refills nothing");
});

test("an override of 0 refuses, and nothing is taken", async (t) => {
  const { rateLimitNow } = await world(perUser);
  const refused = rateLimitNow([[ann, { override: { amount: 0, windowMs: 1000 } }], [bob]]);
  t.like(refused, { allowed: false, rules: ["p/user"] });
  t.deepEqual(shown(refused), ["!p/user 0", "p/user 3"]);
});

test("charged each by itself, one that refuses keeps nobody from being charged, and gives what it has", async (t) => {
  const { rateLimitNow } = await world(perUser);
  const each = { each: true };
  t.deepEqual(shown(rateLimitNow([[ann, { hits: 5 }], [bob]], each)), ["!p/user 0", "p/user 2"]);
  t.deepEqual(
    shown(
      rateLimitNow(
        [
          [ann, { hits: 0 }],
          [bob, { hits: 2 }],
        ],
        each,
      ),
    ),
    ["!p/user 0", "p/user 0"],
  );
  t.deepEqual(shown(rateLimitNow([[ann], [bob, { hits: -1 }]], each)), ["!p/user 0", "p/user 1"]);
});

test("limits that observe refuse nothing, are charged by themselves, and only when nothing refuses", async (t) => {
  const { rateLimitNow, told } = await world([
    `policy: e\ncheck: [{ name: l, limit: 3/h, by: 'ratelimit.descriptor["user"]' }]`,
    `policy: o\nmode: observe\ncheck: [{ name: l, limit: 1/h, by: 'ratelimit.descriptor["user"]' }]`,
  ]);
  t.deepEqual(rateLimitNow([[ann]]).observed, []);
  const second = rateLimitNow([[ann], [ann]]);
  t.like(second, { allowed: true, rules: [], observed: ["o/l"] });
  t.deepEqual(shown(second), ["e/l 1", "e/l 0"]);
  t.is(told.filter((line) => line === "refusal o/l observe").length, 2);
  t.like(rateLimitNow([[ann], [bob]]), { allowed: false, observed: [] });
  t.deepEqual(rateLimitNow([[bob]]).observed, [], "the refused request took nothing of bob's");
});

test("a fault in when follows onError; one in by counts under a count that all faults share", async (t) => {
  for (const [onError, codes] of [
    ["allow", [0, 0, 0]],
    ["deny", [14, 14, 14]],
    ["local", [0, 8, 8]],
  ] as const) {
    const { rateLimitNow } = await world(
      `policy: p\ncheck: [{ name: l, limit: 1/h, at: ratelimit, when: 'int(ratelimit.descriptor["n"]) > 0', onError: ${onError} }]`,
    );
    t.deepEqual(
      codes.map(() => rateLimitNow([[descriptor({ n: "x" })]]).code),
      [...codes],
      onError,
    );
  }
  const { rateLimitNow } = await world(`policy: p\ncheck: [{ name: l, limit: 1/h, at: ratelimit, by: source.ip }]`);
  t.true(rateLimitNow([[{ "source.ip": new Fault("no address") }]]).allowed);
  t.false(rateLimitNow([[{ "source.ip": new Fault("none either") }]]).allowed);
});

function grant(part: Partial<Grant> = {}): Grant {
  return { allowed: true, granted: 1, remaining: 5, resetMs: 100, validForMs: 1000, ...part };
}

/** A store that writes down what it is asked and answers as told. */
function store(name: string, answer: (charges: readonly Charge[]) => readonly Grant[] | Promise<readonly Grant[]>) {
  const log: string[] = [];
  const line = (what: string, charges: readonly Charge[]): void => {
    log.push(`${what} ${charges.map(({ amount }) => amount).join(" ")}`);
  };
  const adapter = stub(name, {
    quota(charges) {
      line("take", charges);
      return answer(charges);
    },
    refund: (charges) => line("refund", charges),
  });
  return { adapter, log };
}

const twoStores = `
policy: p
check:
  - { name: a, limit: 10/h, via: one, by: 'ratelimit.descriptor["user"]' }
  - { name: b, limit: 10/h, via: two, by: 'ratelimit.descriptor["path"]' }`;

test("over several stores all descriptors are one charge: what one took is given back when another refuses", async (t) => {
  const one = store("one", (charges) => charges.map(({ amount }) => grant({ granted: amount })));
  const two = store("two", async () => [grant({ allowed: false, granted: 0, remaining: 0 })]);
  const { rateLimit } = await world(twoStores, [one.adapter, two.adapter]);
  const decision = await rateLimit([[ann], [bob], [descriptor({ path: "/x" })]]);
  t.deepEqual(decision.rules, ["p/b"]);
  t.deepEqual(one.log, ["take 1 1", "refund 1 1"]);
  t.deepEqual(two.log, ["take 1"]);
});

test("a limit that was not asked any more is looked at, so that every status is filled", async (t) => {
  const one = store("one", () => [grant({ allowed: false, granted: 0, remaining: 0 })]);
  const two = store("two", async (charges) => charges.map(() => grant({ granted: 0, remaining: 7 })));
  const { rateLimit } = await world(twoStores, [one.adapter, two.adapter]);
  t.deepEqual(shown(await rateLimit([[ann], [descriptor({ path: "/x" })]])), ["!p/a 0", "p/b 7"]);
  t.deepEqual(two.log, ["take 0"]);
});

test("a store that does not answer does as onError says", async (t) => {
  for (const [onError, codes] of [
    ["allow", [0, 0]],
    ["deny", [14, 14]],
    ["local", [0, 8]],
  ] as const) {
    const down = stub("down", { quota: () => Promise.reject(new Error("down")) });
    const { rateLimit } = await world(
      `policy: p\ncheck: [{ name: l, limit: 1/h, at: ratelimit, via: down, onError: ${onError} }]`,
      [down],
    );
    for (const code of codes) {
      const decision = await rateLimit([[ann]]);
      t.like(decision, { code, allowed: code === 0 }, onError);
      t.true(decision.descriptors[0]!.limits[0]!.degraded);
    }
  }
});

test("no store is waited for beyond the caller's deadline, be it the only one or one of several", async (t) => {
  const slow = () => new Promise<never>(() => undefined);
  for (const [policy, stores] of [
    ["policy: p\ncheck: [{ name: a, limit: 1/h, at: ratelimit, via: one, onError: deny }]", [store("one", slow)]],
    [twoStores.replaceAll(" }", ", onError: deny }"), [store("one", slow), store("two", slow)]],
  ] as const) {
    const { rateLimit, clock } = await world(
      policy,
      stores.map(({ adapter }) => adapter),
    );
    let code: number | undefined;
    const deadline = { deadlineMs: clock.now() + 10 };
    const decision = rateLimit([[descriptor({ user: "ann", path: "/x" })]], { deadline });
    void Promise.resolve(decision).then((decided) => (code = decided.code));
    await clock.advance(9);
    t.is(code, undefined);
    await clock.advance(1);
    t.is(code, 14);
  }
});

test("what cannot be given back is counted, and refuses nothing", async (t) => {
  const one = stub("one", { quota: (charges) => charges.map(() => grant({ granted: 0 })) });
  const { rateLimitNow, told } = await world(
    `policy: p\ncheck: [{ name: l, limit: 1/h, at: ratelimit, via: one, onError: deny }]`,
    [one],
  );
  t.true(rateLimitNow([[ann, { hits: -1 }]]).allowed);
  t.true(told.includes("dropped refund not_supported 1"));
});

test("a hub that fails refuses every descriptor, and says why in its log alone", async (t) => {
  const { observer } = recorder();
  const refusal = (): never => {
    throw new Error("secret");
  };
  const { rateLimitNow, lines } = await world(perUser, [], { observer: { ...observer, refusal } });
  const decision = rateLimitNow([[ann, { hits: 4 }], [bob]]);
  t.like(decision, { allowed: false, code: 14, message: "the request could not be judged" });
  t.deepEqual(decision.descriptors, [
    { allowed: false, limits: [] },
    { allowed: false, limits: [] },
  ]);
  t.is(lines.at(-1)?.level, "error");
});
