import test from "ava";
import fc from "fast-check";
import { Fault } from "../../src/attributes/fault.ts";
import type { Decision } from "../../src/runtime/decision.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { readsOf, stub, world } from "./world.ts";
import type { Attributes } from "../attributes/bag-of.ts";

const wrong = new Fault("came with the wrong type");

/** Policies, requests and the rules that refuse each; `""` where it passes. */
const verdicts: readonly {
  readonly title: string;
  readonly policy: string;
  readonly cases: readonly (readonly [attributes: Attributes, refusedBy: string])[];
}[] = [
  {
    title: "a deny refuses where match and when hold and unless does not",
    policy: `
policy: p
match: destination.service.name == "ratings"
check:
  - { name: r, deny: permission_denied, when: request.method == "POST", unless: source.namespace == "reviews" }`,
    cases: [
      [{ "destination.service.name": "ratings", "request.method": "POST", "source.namespace": "x" }, "p/r"],
      [{ "destination.service.name": "ratings", "request.method": "POST", "source.namespace": "reviews" }, ""],
      [{ "destination.service.name": "ratings", "request.method": "GET", "source.namespace": "x" }, ""],
      [{ "destination.service.name": "details", "request.method": "POST", "source.namespace": "x" }, ""],
    ],
  },
  {
    title: "a match or when that is absent does not apply; an unless that is absent does not excuse",
    policy: `
policy: p
match: destination.service.name == "ratings"
check:
  - { name: r, deny: permission_denied, when: request.method == "POST", unless: source.namespace == "reviews" }`,
    cases: [
      [{ "request.method": "POST" }, ""],
      [{ "destination.service.name": "ratings" }, ""],
      [{ "destination.service.name": "ratings", "request.method": "POST" }, "p/r"],
    ],
  },
  {
    title: "a fault in match or when of a deny refuses, in unless does not excuse",
    policy: `
policy: p
match: destination.service.name == "ratings"
check:
  - { name: r, deny: permission_denied, when: 'int(request.headers["x-n"]) > 5', unless: 'int(request.headers["x-free"]) > 0' }`,
    cases: [
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "6" } }, "p/r"],
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "5" } }, ""],
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "many" } }, "p/r"],
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "many", "x-free": "1" } }, ""],
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "6", "x-free": "yes" } }, "p/r"],
      [{ "destination.service.name": wrong, "request.headers": { "x-n": "6" } }, "p/r"],
      [{ "destination.service.name": wrong, "request.headers": { "x-n": "5" } }, ""],
      [{ "destination.service.name": "details", "request.headers": { "x-n": "many" } }, ""],
      [{ "request.headers": { "x-n": "many" } }, ""],
    ],
  },
  {
    title: "a match that is a fault does not apply where one of its equality tests rests on what is not there",
    policy: `
policy: p
match: source.namespace == "x" && destination.service.name == "ratings" && int(request.headers["x-n"]) > 5
check:
  - { name: r, deny: permission_denied }
---
policy: other
match: destination.service.name == "details"
check:
  - { name: r, deny: permission_denied }`,
    cases: [
      [{ "source.namespace": "x", "destination.service.name": "ratings", "request.headers": { "x-n": "6" } }, "p/r"],
      [{ "source.namespace": "x", "destination.service.name": "ratings", "request.headers": { "x-n": "many" } }, "p/r"],
      [{ "source.namespace": "y", "destination.service.name": "ratings", "request.headers": { "x-n": "many" } }, ""],
      [{ "destination.service.name": "ratings", "request.headers": { "x-n": "many" } }, ""],
    ],
  },
  {
    title: "policies without match apply everywhere, and with a namespace only there",
    policy: `
policy: everywhere
check: [{ name: r, deny: permission_denied, when: request.path == "/admin" }]
---
policy: home
namespace: bookinfo
check: [{ name: r, deny: permission_denied, when: request.path == "/home" }]`,
    cases: [
      [{ "request.path": "/admin" }, "everywhere/r"],
      [{ "request.path": "/home", "destination.namespace": "bookinfo" }, "home/r"],
      [{ "request.path": "/home", "destination.namespace": "other" }, ""],
      [{ "request.path": "/home" }, ""],
    ],
  },
];

for (const { title, policy, cases } of verdicts) {
  test(title, async (t) => {
    const { checkNow } = await world(policy);
    for (const [attributes, refusedBy] of cases) {
      t.is(checkNow(attributes).rules.join(" "), refusedBy, JSON.stringify(attributes));
    }
  });
}

test("an allowed request says so, and for how long", async (t) => {
  const { checkNow, snapshot, told } = await world(`policy: p`);
  const decision = checkNow({});
  t.like(decision, { allowed: true, code: 0, message: "", validForMs: 5000, validUses: 10_000 });
  t.is(decision.version, snapshot.version);
  t.deepEqual(decision.rules, []);
  t.regex(decision.id, /^[0-9a-f]{32}$/);
  t.deepEqual(told, ["decision true"]);
});

test("no two decisions have the same id", async (t) => {
  const { checkNow } = await world(`policy: p`, [], {
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
  });
  t.is(new Set(Array.from({ length: 1000 }, () => checkNow({}).id)).size, 1000);
});

test("of several refusals the first by policy and rule names the status, and the message tells all", async (t) => {
  const rules = [
    `policy: zebra\ncheck: [{ name: a, deny: not_found, message: third }]`,
    `policy: ant\ncheck: [{ name: z, deny: unauthenticated, message: second }]`,
    `policy: ant-\ncheck: [{ name: b, deny: aborted }]`,
    `policy: aa\ncheck: [{ name: b, deny: permission_denied, message: first, http: { status: 451, body: no, headers: { x-why: law } } }]`,
  ];
  for (const files of [rules, [...rules].reverse()]) {
    const decision = (await world(files)).checkNow({});
    t.deepEqual(decision.rules, ["aa/b", "ant/z", "ant-/b", "zebra/a"]);
    t.is(decision.code, 7);
    t.is(decision.message, "first; second; refused by ant-/b; third");
    t.deepEqual(decision.http, { status: 451, body: "no", headers: [{ name: "x-why", value: "law" }] });
  }
});

test("a message does not grow with the number of refusals", async (t) => {
  const rules = Array.from({ length: 500 }, (_, i) => `  - { name: r${i}, deny: aborted }`).join("\n");
  const decision = (await world(`policy: p\ncheck:\n${rules}`)).checkNow({});
  t.is(decision.rules.length, 500);
  t.regex(decision.message, /; and 492 more$/);
});

test("a request that was refused has no direct response of a rule further down", async (t) => {
  const decision = (
    await world(`
policy: p
check:
  - { name: a, deny: aborted }
  - { name: b, deny: aborted, http: { status: 418 } }`)
  ).checkNow({});
  t.is(decision.http, undefined);
});

test("the order of rules and files does not matter", async (t) => {
  const condition = fc.constantFrom(
    `request.method == "POST"`,
    `request.path.startsWith("/a")`,
    `int(request.headers["x-n"]) > 3`,
    `source.namespace == "one" || request.method == "GET"`,
    `has(request.headers["x-k"])`,
  );
  const rule = fc.record({
    when: fc.option(condition),
    unless: fc.option(condition),
    kind: fc.constantFrom(
      "deny: aborted",
      "deny: permission_denied",
      "headers: { request: { set: { x-a: source.namespace } } }",
      `limit: 2/h, by: request.path`,
    ),
  });
  const policy = fc.record({
    match: fc.option(condition),
    mode: fc.constantFrom("enforce", "observe"),
    rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
  });
  const request = fc.record(
    {
      "request.method": fc.constantFrom("GET", "POST"),
      "request.path": fc.constantFrom("/a", "/b"),
      "source.namespace": fc.constantFrom("one", "two"),
      "request.headers": fc.dictionary(fc.constantFrom("x-n", "x-k"), fc.constantFrom("1", "9", "nine")),
    },
    { requiredKeys: [] },
  );
  const quoted = (text: string): string => `'${text}'`;
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 4 }),
      fc.array(request, { maxLength: 6 }),
      async (policies, requests) => {
        const texts = policies.map(({ match, mode, rules }, i) => {
          const lines = rules.map(
            ({ when, unless, kind }, j) =>
              `  - { name: r${j}, ${kind}${when === null ? "" : `, when: ${quoted(when)}`}${unless === null ? "" : `, unless: ${quoted(unless)}`} }`,
          );
          return (order: "as it is" | "reversed") =>
            [
              `policy: p${i}`,
              `mode: ${mode}`,
              ...(match === null ? [] : [`match: ${quoted(match)}`]),
              "check:",
              ...(order === "reversed" ? [...lines].reverse() : lines),
            ].join("\n");
        });
        const one = await world(texts.map((text) => text("as it is")));
        const two = await world([...texts].reverse().map((text) => text("reversed")));
        for (const attributes of requests) {
          const [a, b] = [one.checkNow(attributes as Attributes), two.checkNow(attributes as Attributes)];
          const plain = ({ version: _v, reads: _r, id: _i, ...rest }: Decision) => rest;
          if (JSON.stringify(plain(a)) !== JSON.stringify(plain(b))) return false;
        }
        return true;
      },
    ),
    { numRuns: fuzzRuns(60) },
  );
  t.pass();
});

test("in mode observe a rule is judged and counted, and refuses nothing", async (t) => {
  const { checkNow, told } = await world(`
policy: p
mode: observe
check:
  - { name: a, deny: aborted }
  - { name: b, limit: 1/h }
  - { name: c, headers: { request: { set: { x-a: '"1"' } } } }`);
  t.like(checkNow({}), { allowed: true, code: 0, requestHeaders: [], limits: [] });
  const second = checkNow({});
  t.true(second.allowed);
  t.deepEqual(second.observed, ["p/a", "p/b"]);
  t.deepEqual(
    told.filter((line) => line.startsWith("refusal")),
    ["refusal p/a observe", "refusal p/a observe", "refusal p/b observe"],
  );
});

test("a limit that observes has a count of its own and none of the enforced one", async (t) => {
  const { checkNow } = await world([
    `policy: a\ncheck: [{ name: l, limit: 3/h }]`,
    `policy: b\nmode: observe\ncheck: [{ name: l, limit: 1/h }]`,
  ]);
  const results = Array.from({ length: 5 }, () => checkNow({}));
  t.deepEqual(
    results.map(({ allowed }) => allowed),
    [true, true, true, false, false],
  );
  t.deepEqual(
    results.map(({ observed }) => observed.length),
    [0, 1, 1, 0, 0],
    "a request that is refused spends nothing, not even there",
  );
  t.deepEqual(
    results[0]!.limits.map(({ rule }) => rule),
    ["a/l"],
  );
});

test("what a decision read is what its answer depends on, and no more", async (t) => {
  const { checkNow, bag } = await world([
    `policy: a\nmatch: destination.service.name == "ratings"\ncheck: [{ name: r, deny: aborted, when: 'request.method == "POST" && request.path == "/x"' }]`,
    `policy: b\nmatch: destination.service.name == "details"\ncheck: [{ name: r, deny: aborted, when: source.namespace == "x" }]`,
  ]);
  for (const [attributes, reads] of [
    [{ "destination.service.name": "other" }, ["destination.service.name"]],
    [{}, ["-destination.service.name"]],
    [
      { "destination.service.name": "ratings", "request.method": "GET" },
      ["destination.service.name", "request.method"],
    ],
    [
      { "destination.service.name": "ratings", "request.method": "POST" },
      ["-request.path", "destination.service.name", "request.method"],
    ],
    [{ "destination.service.name": "details" }, ["-source.namespace", "destination.service.name"]],
  ] as [Attributes, string[]][]) {
    t.deepEqual(readsOf(bag(attributes), checkNow(attributes)), reads);
  }
});

test("headers come in the order of policy and rule, and the last set of a name wins", async (t) => {
  const { checkNow } = await world([
    `policy: b\ncheck: [{ name: r, headers: { request: { set: { x-plan: '"gold"' }, append: { x-trail: '"b"' } }, response: { remove: [server] } } }]`,
    `policy: a\ncheck: [{ name: r, headers: { request: { set: { x-plan: '"lead"', x-who: source.namespace }, append: { x-trail: '"a"' } } } }]`,
  ]);
  const decision = checkNow({ "source.namespace": "reviews" });
  t.deepEqual(decision.requestHeaders, [
    { operation: "set", name: "x-who", value: "reviews" },
    { operation: "append", name: "x-trail", value: "a" },
    { operation: "set", name: "x-plan", value: "gold" },
    { operation: "append", name: "x-trail", value: "b" },
  ]);
  t.deepEqual(decision.responseHeaders, [{ operation: "remove", name: "server", value: "" }]);
});

test("a header whose value fails, or would break out of it, is removed and counted", async (t) => {
  const { checkNow, told } = await world(`
policy: p
check: [{ name: r, headers: { request: { set: { x-user: 'request.headers["user"]' } } } }]`);
  const removed = [{ operation: "remove", name: "x-user", value: "" }];
  t.deepEqual(checkNow({ "request.headers": { user: "ann\tb" } }).requestHeaders[0]!.value, "ann\tb");
  t.deepEqual(checkNow({ "request.headers": {} }).requestHeaders, removed);
  for (const value of ["a\r\nx-admin: 1", "a\nb", "a\rb", "a\0b", "\u007f"]) {
    t.deepEqual(checkNow({ "request.headers": { user: value } }).requestHeaders, removed, JSON.stringify(value));
  }
  t.is(told.filter((line) => line === "dropped header bad_value 1").length, 5);
  t.is(told.filter((line) => line === "absence p/r headers").length, 1);
});

test("where it cannot be said whether a rule applies, the headers that it names are removed", async (t) => {
  const { checkNow, told } = await world(`
policy: p
check:
  - { name: r, when: 'int(request.headers["n"]) > 0', headers: { request: { set: { x-a: '"1"' }, remove: [x-b] }, response: { append: { x-c: '"1"' } } } }`);
  t.is(checkNow({ "request.headers": { n: "0" } }).requestHeaders.length, 0);
  t.is(checkNow({ "request.headers": {} }).requestHeaders.length, 0);
  const decision = checkNow({ "request.headers": { n: "x" } });
  t.deepEqual(
    [...decision.requestHeaders, ...decision.responseHeaders].map(({ operation, name }) => `${operation} ${name}`),
    ["remove x-a", "remove x-b", "remove x-c"],
  );
  t.true(told.includes("fault p/r when"));
});

test("a refused request changes no headers", async (t) => {
  const { checkNow } = await world(`
policy: p
check:
  - { name: a, headers: { request: { set: { x-a: '"1"' } } } }
  - { name: b, limit: 1/h }`);
  t.is(checkNow({}).requestHeaders.length, 1);
  t.deepEqual(checkNow({}).requestHeaders, []);
});

const validities: readonly (readonly [title: string, policy: string, attributes: Attributes, ms: number])[] = [
  ["the default where no rule says more", `policy: p\ncheck: [{ name: a, deny: aborted }]`, {}, 5000],
  ["the rule's own where it refused", `policy: p\ncheck: [{ name: a, deny: aborted, cache: 30s }]`, {}, 30_000],
  [
    "the rule's own where it excused",
    `policy: p\ncheck: [{ name: a, deny: aborted, unless: "true", cache: 1s }]`,
    {},
    1000,
  ],
  [
    "the least of what took part",
    `policy: p\ncheck: [{ name: a, deny: aborted, cache: 30s }, { name: b, deny: aborted, cache: 2s }]`,
    {},
    2000,
  ],
  [
    "the default where the rule did not apply",
    `policy: p\ncheck: [{ name: a, deny: aborted, when: request.path == "/x", cache: 1s }]`,
    { "request.path": "/y" },
    5000,
  ],
  [
    "the default where the rule only observes",
    `policy: p\nmode: observe\ncheck: [{ name: a, deny: aborted, cache: 1s }]`,
    {},
    5000,
  ],
  ["none where a limit was charged", `policy: p\ncheck: [{ name: a, limit: 1/s }]`, {}, 0],
  ["none where a limit was charged that observes", `policy: p\nmode: observe\ncheck: [{ name: a, limit: 1/s }]`, {}, 0],
];

for (const [title, policy, attributes, ms] of validities) {
  test(`a decision may be kept for ${title}`, async (t) => {
    const { checkNow } = await world(policy);
    t.like(checkNow(attributes), { validForMs: ms, validUses: ms === 0 ? 0 : 10_000 });
  });
}

test("a limit that does not apply leaves the answer to be kept, by what showed that it does not", async (t) => {
  const { checkNow, bag } = await world(
    `policy: p\ncheck: [{ name: a, limit: 1/s, when: 'request.path.startsWith("/x")' }]`,
  );
  const decision = checkNow({ "request.path": "/y" });
  t.is(decision.validForMs, 5000);
  t.deepEqual(readsOf(bag({ "request.path": "/y" }), decision), ["request.path"]);
});

test("whatever is thrown within a check becomes a refusal that says nothing of it, and a log line", async (t) => {
  const { checkNow, snapshot, lines } = await world(
    `policy: p\ncheck: [{ name: a, deny: aborted, when: request.path == "/x" || request.method == "y" }]`,
  );
  Object.defineProperty(snapshot.checks[0], "message", {
    get: () => {
      throw new Error("secret");
    },
  });
  t.like(checkNow({ "request.path": "/x" }), {
    allowed: false,
    code: 14,
    message: "the request could not be judged",
    validForMs: 0,
  });
  t.is(lines.at(-1)!.level, "error");
});

test("an expression that takes more steps than weir.yaml lets it is a fault", async (t) => {
  const policy = `policy: p\ncheck: [{ name: a, deny: aborted, when: 'request.headers.exists(key, key == "x")' }]`;
  const headers = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, "v"]));
  for (const [config, allowed] of [
    ["limits: { cost: 100 }", false],
    ["limits: { cost: 100000 }", true],
  ] as const) {
    const { checkNow, told } = await world(policy, [], { config });
    t.is(checkNow({ "request.headers": headers }).allowed, allowed, config);
    t.is(told.includes("fault p/a when"), !allowed, config);
  }
});

test("an ask follows its adapter's verdict", async (t) => {
  let verdict: object = { allow: true };
  const asked: unknown[] = [];
  const oracle = stub("oracle", {
    check: (input) => {
      asked.push(input);
      return verdict as { allow: true };
    },
  });
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: a, ask: oracle, with: { value: request.path }, cache: 20s }]`,
    [oracle],
  );
  const check = () => checkNow({ "request.path": "/x" });
  t.like(check(), { allowed: true, validForMs: 20_000 });
  t.deepEqual(asked, [{ value: "/x" }]);
  verdict = { allow: true, validForMs: 100, validUses: 7 };
  t.like(check(), { allowed: true, validForMs: 100, validUses: 7 });
  verdict = { allow: true, validUses: 0 };
  t.like(check(), { allowed: true, validForMs: 0, validUses: 0 });
  verdict = { allow: false };
  t.like(check(), { allowed: false, code: 7, message: "refused by p/a", validForMs: 20_000 });
  verdict = { allow: false, code: "unauthenticated", message: "who are you?" };
  t.like(check(), { allowed: false, code: 16, message: "who are you?" });
});

test("a rule's own message wins over the adapter's", async (t) => {
  const oracle = stub("oracle", { check: () => ({ allow: false, message: "theirs" }) });
  const { checkNow } = await world(`policy: p\ncheck: [{ name: a, ask: oracle, message: ours }]`, [oracle]);
  t.is(checkNow({}).message, "ours");
});

test("an input that the adapter needs refuses when it is absent or a fault; an optional one may be absent", async (t) => {
  const seen: unknown[] = [];
  const oracle = stub(
    "oracle",
    {
      check: (input) => {
        seen.push(input);
        return { allow: true };
      },
    },
    { value: "any", "size?": "int64" },
  );
  const { checkNow, told } = await world(
    `policy: p\ncheck: [{ name: a, ask: oracle, with: { value: 'request.headers["k"]', size: destination.port }, onError: allow }]`,
    [oracle],
  );
  t.true(checkNow({ "request.headers": { k: "v" } }).allowed);
  t.true(checkNow({ "request.headers": { k: "v" }, "destination.port": 5 }).allowed);
  t.like(checkNow({ "request.headers": {} }), { allowed: false, code: 7 });
  t.like(checkNow({ "request.headers": { k: "v" }, "destination.port": wrong }), { allowed: false, code: 7 });
  t.deepEqual(seen, [{ value: "v" }, { value: "v", size: 5 }]);
  t.deepEqual(
    told.filter((line) => line.includes(" with")),
    ["absence p/a with", "fault p/a with"],
  );
});

test("inputs come in the types that the adapter declares", async (t) => {
  let seen: unknown;
  const oracle = stub(
    "oracle",
    {
      check: (input) => {
        seen = input;
        return { allow: true };
      },
    },
    { ip: "ip", text: "any", size: "int64", time: "timestamp", age: "duration", headers: "string_map" },
  );
  const { checkNow } = await world(
    `policy: p
check:
  - name: a
    ask: oracle
    with: { ip: source.ip, text: source.ip, size: destination.port, time: request.time, age: 'duration("1.5s")', headers: request.headers }`,
    [oracle],
  );
  checkNow({
    "source.ip": "::ffff:10.0.0.1",
    "destination.port": 7,
    "request.time": "2026-01-01T00:00:00Z",
    "request.headers": { a: "b" },
  });
  t.deepEqual(seen, {
    ip: "10.0.0.1",
    text: "10.0.0.1",
    size: 7,
    time: new Date("2026-01-01T00:00:00Z"),
    age: 1500,
    headers: new Map([["a", "b"]]),
  });
});

test("an adapter that fails follows onError: refused as unavailable by default, or let pass; kept in neither case", async (t) => {
  const broken = stub("broken", {
    check: () => {
      throw new Error("secret");
    },
  });
  for (const [onError, allowed] of [
    ["", false],
    [", onError: deny", false],
    [", onError: allow", true],
  ] as const) {
    const { checkNow } = await world(`policy: p\ncheck: [{ name: a, ask: broken${onError} }]`, [broken]);
    const decision = checkNow({});
    t.like(decision, { allowed, code: allowed ? 0 : 14, validForMs: 0, validUses: 0 });
    t.false(decision.message.includes("secret"));
  }
});

test("answers that are no answers are faults of the adapter", async (t) => {
  for (const answer of [
    undefined,
    null,
    5,
    {},
    { allow: "yes" },
    { allow: false, code: "nope" },
    { allow: true, validForMs: NaN },
    { allow: true, validForMs: -1 },
  ]) {
    const odd = stub("odd", { check: () => answer as never });
    const { checkNow } = await world(`policy: p\ncheck: [{ name: a, ask: odd }]`, [odd]);
    t.is(checkNow({}).code, 14, JSON.stringify(answer));
  }
});

test("a refusal that is known wins over an adapter's fault, however they sort", async (t) => {
  const broken = stub("broken", { check: () => Promise.reject(new Error("down")) });
  for (const name of ["a", "z"]) {
    const { check } = await world(
      `policy: p\ncheck: [{ name: m, deny: permission_denied }, { name: ${name}, ask: broken, onError: deny }]`,
      [broken],
    );
    const decision = await check({});
    t.false(decision.allowed);
    t.is(decision.code, 7);
    t.is(decision.rules[0], "p/m");
  }
});

test("a fault in the when of an ask follows onError", async (t) => {
  const oracle = stub("oracle", { check: () => ({ allow: false }) });
  for (const [onError, code] of [
    ["deny", 14],
    ["allow", 0],
  ] as const) {
    const { checkNow } = await world(
      `policy: p\ncheck: [{ name: a, ask: oracle, when: 'int(request.headers["n"]) > 0', onError: ${onError} }]`,
      [oracle],
    );
    t.is(checkNow({ "request.headers": { n: "x" } }).code, code);
    t.is(checkNow({ "request.headers": { n: "1" } }).code, 7);
    t.is(checkNow({ "request.headers": {} }).code, 0);
  }
});

test("asks of one request wait at the same time, and are told in the order of the rules", async (t) => {
  const answers: ((allow: boolean) => void)[] = [];
  const slow = stub("slow", {
    check: () =>
      new Promise((resolve) =>
        answers.push((allow) => resolve(allow ? { allow } : { allow, message: `no ${answers.length}` })),
      ),
  });
  const { check } = await world(
    `policy: p\ncheck: [{ name: a, ask: slow, message: A }, { name: b, ask: slow, message: B }, { name: c, ask: slow }]`,
    [slow],
  );
  const decision = check({});
  t.is(answers.length, 3);
  answers[1]!(false);
  answers[2]!(true);
  answers[0]!(false);
  t.like(await decision, { allowed: false, message: "A; B" });
});
