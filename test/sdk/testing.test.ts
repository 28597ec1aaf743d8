import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { z } from "zod";
import { defineAdapter, parseDuration, parseSize } from "../../src/sdk/index.ts";
import type { Charge, Grant } from "../../src/sdk/index.ts";
import { fakeHost, makeInstance, testAdapter } from "../../src/sdk/testing.ts";
import memory from "../../adapters/memory/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

test("fakeHost: jobs run when time is moved, in order, and not after the end", async (t) => {
  const host = fakeHost({ now: 0 });
  const runs: string[] = [];
  host.every(30, () => void runs.push(`slow at ${host.now()}`));
  host.every(20, async () => {
    await Promise.resolve();
    runs.push(`quick at ${host.now()}`);
  });
  await host.advance(60);
  t.deepEqual(runs, ["quick at 20", "slow at 30", "quick at 40", "slow at 60", "quick at 60"].sort(byTime));
  t.is(host.now(), 60);
  host.close();
  await host.advance(100);
  t.is(runs.length, 5);
  t.true(host.signal.aborted);
  t.throws(() => host.every(0, () => undefined), { instanceOf: RangeError });
});

function byTime(a: string, b: string): number {
  return Number(a.split(" ")[2]) - Number(b.split(" ")[2]);
}

test("fakeHost: what a job throws is logged, and the job goes on", async (t) => {
  const host = fakeHost();
  let runs = 0;
  host.every(10, () => {
    runs++;
    throw new Error("oops");
  });
  await host.advance(30);
  t.is(runs, 3);
  t.like(host.logs[0], { level: "error", message: "a job failed" });
});

test("fakeHost: what is counted and logged can be looked at", (t) => {
  const host = fakeHost({ name: "x", folder: "/etc" });
  host.count("a");
  host.count("a", 4);
  host.log.warn({ b: 1 }, "c");
  t.deepEqual([...host.events], [["a", 5]]);
  t.deepEqual(host.logs, [{ level: "warn", fields: { b: 1 }, message: "c" }]);
  t.deepEqual([host.name, host.folder], ["x", "/etc"]);
});

test("makeInstance: a configuration that is not valid is refused before create", async (t) => {
  const adapter = defineAdapter({
    name: "x",
    provides: ["check"],
    config: z.strictObject({ n: z.int() }),
    create: () => {
      throw new Error("created");
    },
  });
  await t.throwsAsync(makeInstance(adapter, { n: 1.5 }), { message: /the configuration is not valid/ });
  await t.throwsAsync(makeInstance(adapter, { n: 1 }), { message: "created" });
});

/** Runs the contract and answers the titles of what failed. */
async function failures(
  declare: (test: (title: string, run: (context: unknown) => Promise<void>) => void) => void,
): Promise<string[]> {
  const tests: { title: string; run: (context: unknown) => Promise<void> }[] = [];
  declare((title, run) => tests.push({ title, run }));
  const failed: string[] = [];
  for (const { title, run } of tests) await run(undefined).catch(() => failed.push(title));
  return failed;
}

type Quota = (charges: readonly Charge[]) => readonly Grant[];

/** The memory adapter, spoiled. */
function spoiled(spoil: (quota: Quota, charges: readonly Charge[]) => readonly Grant[]) {
  return defineAdapter({
    name: "spoiled",
    provides: ["quota"],
    config: z.strictObject({}),
    async create(_config, host) {
      const { quota } = await makeInstance(memory, {}, host as ReturnType<typeof fakeHost>);
      const whole: Quota = (charges) => quota(charges, { signal: host.signal }) as readonly Grant[];
      return { quota: (charges) => spoil(whole, charges) };
    },
  });
}

const spoilt: readonly (readonly [
  what: string,
  sentence: RegExp,
  spoil: (quota: Quota, charges: readonly Charge[]) => readonly Grant[],
])[] = [
  [
    "grants everything",
    /then refuses/,
    (_quota, charges) =>
      charges.map(({ amount }) => ({ allowed: true, granted: amount, remaining: 9, resetMs: 1, validForMs: 1 })),
  ],
  [
    "grants a little too much",
    /never grants above the limit/,
    (quota, charges) =>
      quota(charges.map((charge) => ({ ...charge, amount: charge.amount * 0.9 }))).map((grant, i) => ({
        ...grant,
        granted: grant.allowed ? charges[i]!.amount : 0,
      })),
  ],
  ["charges one after the other", /all or nothing/, (quota, charges) => charges.flatMap((charge) => quota([charge]))],
  [
    "forgets deduplication",
    /repeated deduplication id/,
    (quota, charges) =>
      quota(charges.map(({ limit, key, amount, bestEffort }) => ({ limit, key, amount, bestEffort }))),
  ],
  [
    "ignores best effort",
    /best-effort/,
    (quota, charges) => quota(charges.map((charge) => ({ ...charge, bestEffort: false }))),
  ],
  [
    "mixes keys",
    /keeps keys apart/,
    (quota, charges) => quota(charges.map((charge) => ({ ...charge, key: charge.limit.id }))),
  ],
  [
    "charges for a look",
    /amount of 0/,
    (quota, charges) => quota(charges.map((charge) => ({ ...charge, amount: charge.amount || 1 }))),
  ],
  [
    "does not look at what must be there",
    /must be there/,
    (quota, charges) => quota(charges.map((charge) => ({ ...charge, atLeast: 0 }))),
  ],
  [
    "takes what must be there",
    /takes no more/,
    (quota, charges) =>
      quota(charges.map((charge) => ({ ...charge, amount: Math.max(charge.amount, charge.atLeast ?? 0) }))),
  ],
  [
    "says too early when to come back",
    /after retryAfterMs/,
    (quota, charges) =>
      quota(charges).map((grant) =>
        grant.retryAfterMs === undefined ? grant : { ...grant, retryAfterMs: grant.retryAfterMs / 2 },
      ),
  ],
  [
    "says too early when it is whole",
    /resetMs/,
    (quota, charges) => quota(charges).map((grant) => ({ ...grant, resetMs: grant.resetMs / 2 })),
  ],
  [
    "gives hope where there is none",
    /refuses more than the limit/,
    (quota, charges) => quota(charges).map((grant) => (grant.allowed ? grant : { ...grant, retryAfterMs: 1 })),
  ],
  ["forgets a grant", /then refuses/, (quota, charges) => quota(charges).slice(1)],
];

for (const [what, sentence, spoil] of spoilt) {
  test(`testAdapter: a store that ${what} fails`, async (t) => {
    const failed = await failures((declare) => testAdapter(declare, spoiled(spoil), { config: {} }));
    t.true(
      failed.some((title) => sentence.test(title)),
      failed.join("\n"),
    );
  });
}

test("testAdapter: the memory adapter passes, with and without a title of one's own", async (t) => {
  t.deepEqual(await failures((declare) => testAdapter(declare, memory, { config: {}, title: "mine" })), []);
});

test("testAdapter: check adapters that break the contract fail", async (t) => {
  let n = 0;
  const odd: readonly (readonly [sentence: RegExp, check: () => unknown])[] = [
    [/as expected/, () => ({ allow: false })],
    [/right shape/, () => ({ allow: true, validForMs: -1 })],
    [/same verdict/, () => ({ allow: true, validUses: n++ })],
  ];
  for (const [sentence, check] of odd) {
    const adapter = defineAdapter({
      name: "odd",
      provides: ["check"],
      config: z.strictObject({}),
      create: () => ({ check: check as () => { allow: true } }),
    });
    const failed = await failures((declare) =>
      testAdapter(declare, adapter, { config: {}, checks: [{ input: {}, allow: true }] }),
    );
    t.true(
      failed.some((title) => sentence.test(title)),
      String(sentence),
    );
  }
});

test("testAdapter: what was declared wrongly fails, and says what", async (t) => {
  const config = z.strictObject({});
  const check = () => ({ allow: true }) as const;
  const wrong: readonly (readonly [adapter: object, message: RegExp])[] = [
    [
      { provides: ["check", "logs"], create: () => ({ check }) },
      /it provides logs, and the instance has no such method/,
    ],
    [{ provides: ["check"], create: () => ({ check, logs() {} }) }, /has a method logs, which is not among/],
    [{ provides: ["check"], create: () => ({ check, clsoe() {} }) }, /has "clsoe", .* is "close" meant/],
    [{ provides: ["check"], create: () => null }, /create answered null/],
    [{ provides: ["check"], input: { user: "strnig" }, create: () => ({ check }) }, /input user has the type strnig/],
    [{ provides: ["check"], create: () => ({ check: () => undefined }) }, /no verdict: undefined/],
    [{ provides: ["attributes"], create: () => ({ attributes: () => ({}) }) }, /attributes without outputs/],
    [
      { provides: ["attributes"], outputs: { a: "text" }, create: () => ({ attributes: () => ({}) }) },
      /output a has the type text/,
    ],
    [{ provides: ["table"], create: () => ({ table: () => "10/s" }) }, /no row, but 10\/s/],
    [{ provides: ["table"], create: () => ({ table: async () => undefined }) }, /no row, but \[object Promise\]/],
    [{ provides: ["table"], create: () => ({ table: () => ({ amount: NaN, windowMs: 1 }) }) }, /amount is NaN/],
  ];
  for (const [adapter, message] of wrong) {
    const messages: string[] = [];
    const runs: (() => Promise<void>)[] = [];
    testAdapter(
      (_title, run) => runs.push(() => run(undefined)),
      { name: "wrong", config, ...adapter } as never,
      {
        config: {},
        checks: [{ input: {}, allow: true }],
        attributes: [{ input: {}, outputs: {} }],
        logs: { delivered: () => [] },
      } as never,
    );
    for (const run of runs) await run().catch((error: unknown) => messages.push(String(error)));
    t.true(
      messages.some((text) => message.test(text)),
      `${message}: ${messages.join("\n")}`,
    );
  }
});

test("testAdapter: how deliveries are seen is asked for where the types did not", (t) => {
  const sink = { name: "sink", provides: ["logs"], config: z.strictObject({}), create: () => ({ logs() {} }) } as never;
  t.throws(() => testAdapter(() => undefined, sink, { config: {} } as never), { message: /needs the option logs/ });
});

test("testAdapter: a schema that takes unknown keys, a bad name and a missing method fail", async (t) => {
  const loose = defineAdapter({
    name: "Loose Name",
    provides: ["check"],
    config: z.looseObject({}),
    create: () => ({}) as { check: () => { allow: true } },
  });
  const failed = await failures((declare) =>
    testAdapter(declare, loose, { config: {}, checks: [{ input: {}, allow: true }] }),
  );
  for (const sentence of [/says what it is/, /refuses configurations/, /methods that it declares/]) {
    t.true(
      failed.some((title) => sentence.test(title)),
      String(sentence),
    );
  }
});

test("testAdapter: what answers with promises where none may be fails", async (t) => {
  const late = defineAdapter({
    name: "late",
    provides: ["metrics"],
    config: z.strictObject({}),
    create: () => ({
      metrics: () => ({ record: (async () => undefined) as () => void }),
      unready: (async () => "not yet") as unknown as () => string,
    }),
  });
  const failed = await failures((declare) => testAdapter(declare, late, { config: {} }));
  t.deepEqual(failed.sort(), [
    "late: prepares and records at once, without a promise",
    "late: says with text why it cannot serve, or nothing",
  ]);
});

test("testAdapter: sinks that lose, reorder or keep what they are handed fail", async (t) => {
  const delivered: { name: string; fields: Record<string, never> }[] = [];
  const losing = defineAdapter({
    name: "losing",
    provides: ["logs", "metrics"],
    config: z.strictObject({}),
    create: () => {
      const held: { labels: readonly string[]; values: readonly number[] }[] = [];
      return {
        logs: (entries) => void delivered.push(...(entries.slice(0, 10) as never[])),
        metrics: () => ({ record: (labels, values) => void held.push({ labels, values }) }),
        expose: () => held.map(({ labels, values }) => `contract_requests_total{${labels.join()}} ${values[0]}\n`),
      };
    },
  });
  const failed = await failures((declare) =>
    testAdapter(declare, losing, { config: {}, logs: { delivered: () => delivered.splice(0) } }),
  );
  for (const sentence of [/every entry, in order/, /keep the arrays/, /NaN/]) {
    t.true(
      failed.some((title) => sentence.test(title)),
      String(sentence),
    );
  }
});

test("durations and sizes of configurations", (t) => {
  for (const [text, ms] of [
    ["250ms", 250],
    ["1.5s", 1500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["7d", 604_800_000],
    ["0s", 0],
    ["", undefined],
    ["5", undefined],
    ["s", undefined],
    ["-5s", undefined],
    ["5 s", undefined],
    ["1e3s", undefined],
    ["99999999999999d", undefined],
    ["1s".repeat(1000), undefined],
  ] as const) {
    t.is(parseDuration(text), ms, text);
  }
  for (const [text, bytes] of [
    ["512B", 512],
    ["64KiB", 65_536],
    ["1.5MiB", 1_572_864],
    ["1GB", 1e9],
    ["10 MB", 1e7],
    ["", undefined],
    ["10", undefined],
    ["-1B", undefined],
    ["1TiB", undefined],
    ["999999999999999GiB", undefined],
  ] as const) {
    t.is(parseSize(text), bytes, text);
  }
});

test("docs/adapters.md shows the examples as they are compiled and tested", (t) => {
  const page = readFileSync(join(root, "docs/adapters.md"), "utf8");
  const folder = join(root, "test/sdk/examples");
  for (const file of readdirSync(folder)) {
    t.true(page.includes(`\`\`\`ts\n${readFileSync(join(folder, file), "utf8")}\`\`\``), file);
  }
});

test("docs/adapters.md names every capability, input type, code and member of the host", (t) => {
  const page = readFileSync(join(root, "docs/adapters.md"), "utf8");
  const names = (file: string, pattern: RegExp): string[] =>
    [...readFileSync(join(root, "src/sdk", file), "utf8").matchAll(pattern)].map((match) => match[1]!);
  const host = names("host.ts", /^ {2}(?:readonly )?([a-zA-Z]+)[(:]/gm);
  const inputs = names("input.ts", /^ {2}([a-z0-9_]+): /gm);
  const codes = names("verdict.ts", /^ {2}([a-z_]+): \d+,$/gm);
  t.true(host.length >= 7 && inputs.length >= 10 && codes.length === 16);
  for (const name of [
    ...host,
    ...inputs,
    ...codes,
    "check",
    "quota",
    "metrics",
    "logs",
    "refund",
    "expose",
    "unready",
    "close",
  ]) {
    t.true(page.includes(`\`${name}`), `${name} is not on the page`);
  }
});
