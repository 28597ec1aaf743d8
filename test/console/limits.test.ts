import { request } from "node:http";
import test, { type ExecutionContext } from "ava";
import { addLimitsCommand } from "../../src/cli/limits.ts";
import { createConsole } from "../../src/console/console.ts";
import type { HubView } from "../../src/console/view.ts";
import { Apportioner } from "../../src/runtime/quota/apportioner.ts";
import { createLimitDesk } from "../../src/runtime/limits/limit-desk.ts";
import type { TokenCheck } from "../../src/listen/credentials.ts";
import type { Adapter } from "../../src/sdk/index.ts";
import { silentObserver } from "../bench/silent.ts";
import { runCommand } from "../cli/run-command.ts";
import { stub, world, type World } from "../runtime/world.ts";

const policies = `
policy: plans
check:
  - name: per-tenant
    limit: 10/m
    by: tenant.id
    overrides:
      - { when: tenant.plan == "gold", limit: 100/m, burst: 200 }
      - { when: tenant.plan == "bulk", limit: 1000/h }
  - { name: month, limit: 100/month, by: { tenant: tenant.id, seat: tenant.seat } }
  - { name: per-api-key, limit: 50/h, by: request.api_key, algorithm: sliding-window }
  - { name: all, limit: 1000/h, algorithm: fixed-window }
---
policy: trial
mode: observe
check: [{ name: strict, limit: 1/h }]
`;
const config = "attributes: { tenant.id: string, tenant.plan: string, tenant.seat: int64 }";

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

/** A console over a hub that judges requests, and functions that ask it. */
async function start(
  t: ExecutionContext,
  options: { readonly tokens?: TokenCheck; readonly adapters?: readonly Adapter[]; readonly policies?: string } = {},
) {
  const hub: World = await world(options.policies ?? policies, options.adapters ?? [], {
    ...(options.adapters === undefined ? { config } : {}),
  });
  const { log, lines } = { log: hub.log, lines: hub.lines };
  const { quotas } = hub.runtime.acquire();
  const apportioner = new Apportioner({
    ...{ member: "hub", now: hub.clock.now, observer: silentObserver, stores: quotas, ttlMs: 10_000 },
  });
  const limits = createLimitDesk({
    ...{ acquire: () => hub.runtime.acquire(), log, now: hub.clock.now, timers: hub.clock },
    divided: apportioner.divided,
  });
  const admin = createConsole({
    hub: { limits, version: "1" } as unknown as HubView,
    log,
    now: hub.clock.now,
    timers: hub.clock,
    tokens: options.tokens,
  });
  const address = await admin.start("127.0.0.1:0");
  t.teardown(() => admin.close());
  const ask = (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const method = body === undefined ? "GET" : "POST";
      const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
      const asked = request(
        `http://${address}${path}`,
        { method, headers: { ...type, ...headers }, agent: false },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode!, json: JSON.parse(text) as Record<string, unknown> }),
          );
        },
      );
      asked.on("error", reject);
      asked.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
    });
  const weir = (...args: string[]) => runCommand(addLimitsCommand, ["limits", ...args, "--admin", address]);
  return { ...hub, lines, ask, weir, apportioner, quotas };
}

const acme = { "tenant.id": "acme", "tenant.seat": 7, "request.api_key": "sk_live_0123456789abcdef" };

test("a level of a limit is one of its own here", async (t) => {
  const { weir, checkNow } = await start(t, {
    adapters: [stub("unused", { check: () => ({ allow: true }) })],
    policies: `policy: p
check: [{ name: spend, limit: 10/h, by: request.host, levels: [{ name: path, limit: 5/h, by: request.path }] }]`,
  });
  checkNow({ "request.host": "shop", "request.path": "/a" });
  const { out, err } = await weir("p/spend#path");
  t.regex(out, /\nshop +\/a +1 +5\/h +/, err);
  t.is((await weir("reset", "p/spend#path", "--all")).out, "reset p/spend#path: every key, 1 in use\n");
});

test("limits are listed with their rates, overrides and how many keys are held", async (t) => {
  const { ask, checkNow } = await start(t);
  checkNow(acme);
  checkNow({ ...acme, "tenant.id": "other" });
  const { limits } = (await ask("/limits")).json as { limits: Record<string, unknown>[] };
  t.deepEqual(
    limits.map(({ rule, limit, algorithm, mode, keys }) => ({ rule, limit, algorithm, mode, keys })),
    [
      { rule: "plans/all", limit: "1000/h", algorithm: "fixed-window", mode: "enforce", keys: 1 },
      { rule: "plans/month", limit: "100/month", algorithm: "calendar", mode: "enforce", keys: 2 },
      { rule: "plans/per-api-key", limit: "50/h", algorithm: "sliding-window", mode: "enforce", keys: 1 },
      { rule: "plans/per-tenant", limit: "10/m", algorithm: "token-bucket", mode: "enforce", keys: 2 },
      { rule: "trial/strict", limit: "1/h", algorithm: "token-bucket", mode: "observe", keys: 1 },
    ],
  );
  t.deepEqual(limits[3]!["overrides"], [
    { when: 'tenant.plan == "gold"', limit: "100/m, burst 200" },
    { when: 'tenant.plan == "bulk"', limit: "1000/h" },
  ]);
});

test("the most used keys come first, readable, over all windows of a rule; secrets are not shown", async (t) => {
  const { ask, checkNow } = await start(t);
  for (let i = 0; i < 3; i++) checkNow(acme);
  for (let i = 0; i < 5; i++) checkNow({ "tenant.id": "bulk", "tenant.plan": "bulk" });
  checkNow({ "tenant.id": "x".repeat(400) });
  const tenants = (await ask("/limits/plans/per-tenant")).json;
  t.like(tenants, { rule: "plans/per-tenant", by: ["key"], seen: 3, complete: true });
  t.deepEqual(
    (tenants["keys"] as { key?: unknown; used: number; limit: string }[]).map(({ key, used, limit }) => [
      key,
      used,
      limit,
    ]),
    [
      [{ key: "bulk" }, 5, "1000/h"],
      [{ key: "acme" }, 3, "10/m"],
      [undefined, 1, "10/m"],
    ],
  );
  const months = (await ask("/limits/plans/month?top=1")).json["keys"] as { key: unknown }[];
  t.deepEqual(
    months.map(({ key }) => key),
    [{ tenant: "bulk", seat: "(absent)" }],
  );
  const [secret] = (await ask("/limits/plans/per-api-key?top=2")).json["keys"] as { key: { key: string } }[];
  t.regex(JSON.stringify((await ask("/limits/plans/per-api-key")).json), /\(absent\)/);
  t.true(secret!.key.key === "(absent)" || /^sk_l\*\*\*[0-9a-f]{8}$/.test(secret!.key.key));
  t.false(JSON.stringify((await ask("/limits/plans/per-api-key")).json).includes("0123456789"));
});

test("a key tells what is used and left under each limit of its rule, of every type and when absent", async (t) => {
  const { ask, checkNow } = await start(t);
  for (let i = 0; i < 3; i++) checkNow(acme);
  const { json } = await ask("/limits/plans/per-tenant?key=acme");
  t.deepEqual(json["limits"], [
    { limit: "10/m", used: 3, remaining: 7, reset_ms: 18_000 },
    { limit: "100/m, burst 200", when: 'tenant.plan == "gold"', used: 3, remaining: 197, reset_ms: 1800 },
    { limit: "1000/h", when: 'tenant.plan == "bulk"', used: 0, remaining: 1000, reset_ms: 0 },
  ]);
  const used = async (path: string) => ((await ask(path)).json["limits"] as { used: number }[])[0]!.used;
  t.is(await used("/limits/plans/month?key=tenant=acme&key=seat=7"), 3);
  t.is(await used("/limits/plans/month?key=tenant=acme&absent=seat"), 0);
  t.is(await used("/limits/plans/per-tenant?key=key=acme"), 3);
  checkNow({ "tenant.id": "acme" });
  t.is(await used("/limits/plans/month?key=tenant=acme&absent=seat"), 1);
});

test("a key is reset and granted more, and the log says who did it", async (t) => {
  const { ask, checkNow, lines } = await start(t);
  for (let i = 0; i < 10; i++) t.true(checkNow(acme).allowed);
  t.false(checkNow(acme).allowed);
  t.deepEqual(await ask("/limits/plans/per-tenant/grant", { key: { key: "acme" }, amount: 2 }), {
    status: 200,
    json: { rule: "plans/per-tenant", key: { key: "acme" }, granted: 2, until: "2026-01-01T00:01:00.000Z" },
  });
  t.deepEqual(
    [1, 2, 3].map(() => checkNow(acme).allowed),
    [true, true, false],
  );
  t.like((await ask("/limits/plans/per-tenant/reset", { key: ["acme"] })).json, { reset: 1 });
  t.true(checkNow(acme).allowed);
  const { json } = await ask("/limits/plans/per-api-key/reset", { key: { key: acme["request.api_key"] } });
  t.regex(JSON.stringify(json), /sk_l\*\*\*/);
  t.like((await ask("/limits/plans/month/reset", { all: true })).json, { key: "every key", reset: 1 });
  t.like((await ask("/limits/plans/all/reset", {})).json, { key: {}, reset: 1 });
  t.deepEqual(
    lines.filter(({ fields }) => "who" in fields).map(({ level, fields, message }) => [level, message, fields]),
    [
      [
        "info",
        "units were granted beyond a limit",
        {
          who: "127.0.0.1",
          rule: "plans/per-tenant",
          key: { key: "acme" },
          extra: 2,
          until: "2026-01-01T00:01:00.000Z",
        },
      ],
      ["info", "a limit was reset", { who: "127.0.0.1", rule: "plans/per-tenant", key: { key: "acme" }, keys: 1 }],
      [
        "info",
        "a limit was reset",
        { who: "127.0.0.1", rule: "plans/per-api-key", key: (json as { key: unknown }).key, keys: 1 },
      ],
      ["info", "a limit was reset", { who: "127.0.0.1", rule: "plans/month", key: "every key", keys: 1 }],
      ["info", "a limit was reset", { who: "127.0.0.1", rule: "plans/all", key: {}, keys: 1 }],
    ],
  );
});

test("what is granted ends when it was said to, or with the window", async (t) => {
  const { ask } = await start(t);
  const until = async (rule: string, span: object) => {
    const key = rule === "plans/all" ? {} : { key: rule === "plans/month" ? { tenant: "a", seat: "1" } : { key: "a" } };
    return (await ask(`/limits/${rule}/grant`, { ...key, amount: 5, ...span })).json["until"];
  };
  t.is(await until("plans/month", {}), "2026-02-01T00:00:00.000Z");
  t.is(await until("plans/all", {}), "2026-01-01T01:00:00.000Z");
  t.is(await until("plans/all", { for: "90m" }), "2026-01-01T01:30:00.000Z");
  t.is(await until("plans/per-api-key", { until: "2026-06-01T00:00:00+02:00" }), "2026-05-31T22:00:00.000Z");
});

test("what is wrong is told, and changes nothing", async (t) => {
  const { ask, lines } = await start(t);
  const month = "/limits/plans/month";
  const cases: readonly (readonly [path: string, body: unknown, status: number, message: RegExp])[] = [
    ["/limits/plans/none", undefined, 404, /no limit is called "plans\/none"/],
    ["/limits/plans", undefined, 404, /no limit is called "plans"/],
    [`${month}/reset`, undefined, 404, /no limit is called/],
    [`${month}/drop`, {}, 404, /\/reset or \/grant/],
    [month, {}, 404, /\/reset or \/grant/],
    ["/limits", {}, 404, /\/reset or \/grant/],
    [`${month}?key=tenant=a`, undefined, 400, /is of tenant, seat, and seat is missing/],
    [`${month}?key=a`, undefined, 400, /expected NAME=VALUE with a name of tenant, seat, got "a"/],
    [`${month}?key=tenant=a&key=seat=x`, undefined, 400, /seat is of the type int64, and "x" is not/],
    [`${month}?key=tenant=a&absent=seet`, undefined, 400, /got "seet"/],
    [`${month}?key=tenant=a&key=tenant=b&key=seat=1`, undefined, 400, /"tenant" is said twice/],
    ["/limits/plans/all?key=a", undefined, 400, /nothing, since it has one count for all/],
    [`${month}?top=0`, undefined, 400, /top to be 1 to 1000/],
    [`${month}?top=1e3`, undefined, 400, /top to be 1 to 1000/],
    [`${month}/reset`, {}, 400, /expected a key, by its tenant, seat, or all keys/],
    [`${month}/reset`, { all: true, key: {} }, 400, /expected a key/],
    [`${month}/reset`, { everything: true }, 400, /known keys are key, absent, all, and got "everything"/],
    [`${month}/reset`, { key: 7 }, 400, /as an object of tenant, seat, got 7/],
    [`${month}/reset`, { key: { tenant: ["a"], seat: 1 } }, 400, /expected a text for "tenant"/],
    [`${month}/reset`, { key: {}, absent: "seat" }, 400, /"absent" as a list of names/],
    [`${month}/reset`, "{", 400, /the body is not JSON/],
    [`${month}/reset`, "[1]", 400, /expected a JSON object/],
    [`${month}/reset`, "x".repeat(70_000), 413, /larger than 65536 bytes/],
    ...[-1, 1.5, "5", 1e300, null, undefined].map(
      (amount) =>
        [
          `${month}/grant`,
          { key: { tenant: "a", seat: 1 }, amount },
          400,
          /expected an "amount" of 0 to 1000000000000/,
        ] as const,
    ),
    ...[
      { for: "1" },
      { for: 5 },
      { for: "-1h" },
      { for: "9000h" },
      { until: "soon" },
      { until: "2020-01-01" },
      { for: "1h", until: "2027-01-01" },
    ].map(
      (span) =>
        [
          `${month}/grant`,
          { key: { tenant: "a", seat: 1 }, amount: 5, ...span },
          400,
          /expected "(for|until)"/,
        ] as const,
    ),
  ];
  for (const [path, body, status, message] of cases) {
    const answer = await ask(path, body);
    const said = JSON.stringify(body)?.slice(0, 80);
    t.is(answer.status, status, `${path} ${said}`);
    t.regex((answer.json["error"] as { message: string }).message, message, `${path} ${said}`);
  }
  t.is((await ask(`${month}/reset`, "{}", { "content-type": "text/plain" })).status, 415, "no page of another origin");
  t.deepEqual(
    lines.filter(({ fields }) => "who" in fields),
    [],
  );
});

test("with tokens, nothing is told or changed without one, and the log has the token's name", async (t) => {
  const tokens: TokenCheck = {
    personOf: (header) => (header === "Bearer ann" ? "ann" : undefined),
    open: [],
    refused: () => undefined,
  };
  const { ask, lines } = await start(t, { tokens });
  t.is((await ask("/limits")).status, 401);
  t.is((await ask("/limits/plans/all/reset", {})).status, 401);
  t.is((await ask("/limits/plans/all/reset", {}, { authorization: "Bearer ann" })).status, 200);
  t.deepEqual(
    lines.flatMap(({ fields }) => ("who" in fields ? [fields.who] : [])),
    ["ann"],
  );
});

test("an adapter that does not tell its counts is looked at and not changed; one that fails says so", async (t) => {
  const grants = [{ allowed: true, granted: 0, remaining: 3, resetMs: 5, validForMs: 1 }];
  const plain = stub("plain", { quota: () => grants });
  const broken = stub("broken", { quota: () => Promise.reject(new Error("gone")) });
  const silent = stub("silent", { quota: () => new Promise(() => undefined) });
  const { ask, clock } = await start(t, {
    adapters: [plain, broken, silent],
    policies: `policy: p
check:
  - { name: a, limit: 10/s, via: plain, by: request.path }
  - { name: b, limit: 10/s, via: broken, by: request.path }
  - { name: c, limit: 10/s, via: silent, by: request.path }`,
  });
  t.like((await ask("/limits/p/a?key=/x")).json, { limits: [{ used: 7, remaining: 3 }] });
  t.like(await ask("/limits/p/a"), { status: 501, json: { error: { code: "WEIR_NOT_SUPPORTED" } } });
  t.is((await ask("/limits/p/a/reset", { all: true })).status, 501);
  t.like(await ask("/limits/p/b?key=/x"), { status: 503, json: { error: { code: "WEIR_ADAPTER_FAILED" } } });
  const slow = ask("/limits/p/c?key=/x");
  while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
  await clock.advance(10_000);
  t.is((await slow).status, 503);
});

test("weir limits shows limits, keys and where one stands, and changes them", async (t) => {
  const { weir, checkNow } = await start(t);
  for (let i = 0; i < 3; i++) checkNow({ "tenant.id": "acme" });
  checkNow({ "tenant.id": "ev\u001b[31mil" });
  const list = await weir();
  t.is(list.exitCode, 0, list.err);
  t.regex(list.out, /^LIMIT +RATE +ALGORITHM +BY +VIA +KEYS\nplans\/all +1000\/h +fixed-window +- +memory +1\n/);
  t.regex(list.out, /\n {2,}100\/m, burst 200 +when tenant.plan == "gold"\n/);
  t.regex(list.out, /trial\/strict \(observes\)/);
  t.is(
    (await weir("plans/per-tenant")).out,
    `KEY             USED  RATE  FREE IN
acme            3     10/m  18 s
ev\\u{1b}[31mil  1     10/m  6 s
`,
  );
  t.is((await weir("plans/month", "--top", "1")).out.split("\n").length, 3);
  t.regex((await weir("plans/per-tenant", "acme")).out, /^RATE +USED +LEFT +FREE IN\n10\/m +3 +7 +18 s\n/);
  t.is((await weir("plans/per-api-key", "nobody")).out, "RATE  USED  LEFT  FREE IN\n50/h  0     50    0 ms\n");
  t.is(
    (await weir("grant", "plans/per-tenant", "acme", "--amount", "5", "--for", "1h")).out,
    "granted 5 units to key=acme of plans/per-tenant until 2026-01-01T01:00:00.000Z\n",
  );
  t.regex((await weir("plans/per-tenant", "acme")).out, /\n10\/m +3 +12 /);
  t.is(
    (await weir("grant", "plans/per-tenant", "acme", "--amount", "0")).out,
    "nothing is granted to key=acme of plans/per-tenant any more\n",
  );
  t.is((await weir("reset", "plans/per-tenant", "acme")).out, "reset plans/per-tenant: key=acme\n");
  t.is((await weir("reset", "plans/month", "--all")).out, "reset plans/month: every key, 2 in use\n");
  t.is((await weir("reset", "plans/all")).out, "reset plans/all: its one count\n");
  t.is((await weir("plans/per-api-key", "x", "--json")).out.slice(0, 28), '{"rule":"plans/per-api-key",');
});

test("weir limits says what is wrong, with status 1", async (t) => {
  const { weir } = await start(t);
  for (const [args, message] of [
    [["plans/none"], /error: no limit is called "plans\/none"\n/],
    [["--top", "5"], /error: name the limit, as POLICY\/RULE/],
    [["plans/month", "a", "--top", "5"], /error: --top is for all keys of a limit/],
    [["plans/month", "tenant=a"], /error: a key of plans\/month is of tenant, seat, and seat is missing/],
    [["reset", "plans/month"], /error: expected a key, by its tenant, seat, or all keys/],
    [["grant", "plans/per-tenant", "a"], /error: required option '--amount <units>' not specified/],
    [["grant", "plans/per-tenant", "a", "--amount", "-5"], /expected a whole number of units/],
    [["grant", "plans/per-tenant", "a", "--amount", "5", "--for", "never"], /error: expected "for" to be a duration/],
  ] as const) {
    const { err, out, exitCode } = await weir(...args);
    t.regex(err, message, args.join(" "));
    t.is(out, "");
    t.is(exitCode, 1, args.join(" "));
  }
  const gone = await runCommand(addLimitsCommand, ["limits", "--admin", "127.0.0.1:1"]);
  t.regex(gone.err, /error: cannot ask the hub at 127\.0\.0\.1:1/);
});

test("a key is said by its expression too", async (t) => {
  const { ask } = await start(t);
  const rule = "/limits/plans/per-api-key";
  await ask(`${rule}/grant`, { key: { "request.api_key": "a=b" }, amount: 5, for: "1h" });
  const left = async (said: string) => {
    const { json } = await ask(`${rule}?key=${encodeURIComponent(said)}`);
    return (json["limits"] as { remaining: number }[])[0]!.remaining;
  };
  const all = await left("c=d");
  t.is(await left("request.api_key=a=b"), all + 5);
  t.is(await left("a=b"), all + 5);
  t.is(await left("key=a=b"), all + 5);
});

test("nothing is changed for a page of a browser, of whatever origin", async (t) => {
  const { ask, checkNow } = await start(t);
  for (let i = 0; i < 10; i++) checkNow(acme);
  for (const origin of ["http://127.0.0.1:9093", "https://a.example", "null"]) {
    const { status, json } = await ask("/limits/plans/per-tenant/reset", { key: ["acme"] }, { origin });
    t.is(status, 403);
    t.like(json, { error: { code: "WEIR_NOT_PERMITTED" } });
  }
  t.false(checkNow(acme).allowed);
});
