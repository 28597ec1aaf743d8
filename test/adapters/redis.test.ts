import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Charge, Grant, Instance, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter, type FakeHost } from "weir/sdk/testing";
import memory from "../../adapters/memory/index.ts";
import redis, { redisAdapter } from "../../adapters/redis/index.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { freePort } from "../e2e/free-port.ts";
import { notRun } from "../e2e/programs.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { startCluster, startRedis, startSentinel, type RedisServer } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("limits in Redis", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());
  const url = `redis://127.0.0.1:${server.port}`;
  const virtual = redisAdapter((host) => host.now());

  testAdapter(test, virtual, {
    config: { url, timeout: "10s" },
    refusedConfigs: [
      {},
      { url: "http://127.0.0.1" },
      { url, cluster: ["127.0.0.1:1"] },
      { sentinels: ["127.0.0.1:1"] },
      { url, timeout: "0s" },
      { url, password: "a" },
      { cluster: ["127.0.0.1"] },
    ],
  });

  test("gives the answers that the adapter memory gives for the same timeline", async (t) => {
    const limits: Limit[] = (
      ["token-bucket", "sliding-window", "fixed-window", "calendar", "concurrency"] as const
    ).map((algorithm) => ({
      id: `same/${algorithm}`,
      algorithm,
      amount: 10,
      windowMs: 7_000,
      burst: 13,
      ...(algorithm === "calendar" ? { calendar: { unit: "minute", zone: "Asia/Kathmandu" } as const } : {}),
    }));
    const charge = fc.record({
      limit: fc.constantFrom(...limits),
      key: fc.constantFrom("one", "two", "br}ace", "\ud800"),
      amount: fc.integer({ min: 0, max: 15 }),
      more: fc.option(fc.integer({ min: 0, max: 15 }), { nil: undefined, freq: 4 }),
      bestEffort: fc.boolean(),
      id: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined, freq: 5 }),
      hold: fc.option(fc.record({ id: fc.constantFrom("x", "y", "z"), forMs: fc.constantFrom(1000, 15_000) }), {
        nil: undefined,
        freq: 3,
      }),
    });
    const change = fc.record({
      id: fc.constantFrom("x", "y", "z"),
      kind: fc.constantFrom("release", "renew", "refund", "end"),
      number: fc.integer({ min: 0, max: 20 }),
    });
    const step = fc.record({
      passMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 }), fc.constant(20_000)),
      // Those of one step begin in the same turn.
      decisions: fc.array(fc.array(charge, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
      refund: fc.boolean(),
      changes: fc.array(change, { maxLength: 2 }),
      granted: fc.option(
        fc.record({ limit: fc.constantFrom(...limits), extra: fc.nat({ max: 9 }), forMs: fc.nat({ max: 30_000 }) }),
        { nil: undefined, freq: 4 },
      ),
      reset: fc.option(fc.constantFrom(...limits), { nil: undefined, freq: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const run = randomUUID();
        // Deduplication ids expire by Redis's own clock, which stands still here.
        const one = await opened(t, memory, { dedup: "1h" });
        const other = await opened(t, virtual, { url, timeout: "5s" });
        const keyOf = (limit: Limit, key: string): string => `${run}/${limit.algorithm}/${key}`;
        for (const { passMs, decisions, refund, changes, granted, reset } of steps) {
          await Promise.all([one.host.advance(passMs), other.host.advance(passMs)]);
          for (const { instance, host } of [one, other]) {
            const { usage } = instance;
            if (reset !== undefined) await usage!.reset({ limit: reset, key: keyOf(reset, "one") }, fakeCall());
            if (granted === undefined) continue;
            const { limit, extra, forMs } = granted;
            await usage!.grant({ limit, key: keyOf(limit, "one") }, extra, host.now() + forMs, fakeCall());
          }
          const wanted = decisions.map((charges) => {
            const ids = new Set<string>();
            return charges.map(({ id: anyId, more, hold, ...rest }): Charge => {
              const key = keyOf(rest.limit, rest.key);
              // A decision makes no two charges of one id.
              const id = anyId === undefined || ids.has(key + anyId) ? undefined : anyId;
              if (id !== undefined) ids.add(key + id);
              return {
                ...rest,
                key,
                ...(more === undefined ? {} : { atLeast: more }),
                ...(id === undefined ? {} : { dedupId: `${run}/${key}/${id}` }),
                ...(hold === undefined ? {} : { hold: { ...hold, id: run + hold.id } }),
              };
            });
          });
          const expected: (readonly Grant[])[] = [];
          for (const charges of wanted) expected.push(await one.quota(charges));
          t.deepEqual(await Promise.all(wanted.map((charges) => other.quota(charges))), expected);
          for (const { id, kind, number } of changes) {
            const rest =
              kind === "renew"
                ? { kind, forMs: 1 + number * 400 }
                : kind === "refund"
                  ? { kind, ...(number > 15 ? {} : { amount: number }) }
                  : kind === "end"
                    ? { kind, used: new Map(limits.slice(0, 3).map((limit) => [limit.id, number])) }
                    : ({ kind: "release" } as const);
            const wantedChange = [{ id: run + id, ...rest }];
            t.deepEqual(
              await other.instance.holds!(wantedChange, fakeCall()),
              await one.instance.holds!(wantedChange, fakeCall()),
            );
          }
          if (!refund) continue;
          const grants = expected.flat();
          const taken = wanted.flat().flatMap((each, i) => {
            const { granted: units, repeated } = grants[i]!;
            return units > 0 && repeated !== true ? [{ ...each, amount: units }] : [];
          });
          await one.instance.refund!(taken, fakeCall());
          await other.instance.refund!(taken, fakeCall());
        }
        for (const limit of limits) {
          const [expected, found] = await Promise.all(
            [one, other].map(({ instance }) => instance.usage!.top(limit, keyOf(limit, ""), 10, fakeCall())),
          );
          // Redis tells whole units; equal ones stand in any order.
          const shown = ({ keys }: typeof expected & {}) =>
            keys.map(({ key, used }) => `${Math.ceil(used)} ${key}`).sort();
          t.deepEqual(shown(found!), shown(expected!));
        }
        await one.close();
        await other.close();
      }),
      { numRuns: fuzzRuns(60), examples: [[heldForNothing(limits[1]!)]] },
    );
  });

  test("admits exactly the limit, however many hubs take at once", async (t) => {
    const hubs = await Promise.all(Array.from({ length: 4 }, () => opened(t, redis, { url, timeout: "5s" })));
    const key = randomUUID();
    const limit: Limit = { id: "shared", algorithm: "fixed-window", amount: 500, windowMs: 86_400_000, burst: 500 };
    const grants = await Promise.all(
      Array.from({ length: 300 }, () =>
        hubs.map((hub) => hub.quota([{ limit, key, amount: 1, bestEffort: false }])),
      ).flat(),
    );
    t.is(grants.filter(([grant]) => grant!.allowed).length, 500);
    for (const hub of hubs) await hub.close();
  });

  test("any hub on the same Redis ends what another one took, once", async (t) => {
    const [one, other] = [
      await opened(t, redis, { url, timeout: "10s" }),
      await opened(t, redis, { url, timeout: "10s" }),
    ];
    const key = randomUUID();
    const [lease, counted]: Limit[] = [
      { id: "lease", algorithm: "concurrency", amount: 1, windowMs: 60_000, burst: 1 },
      { id: "counted", algorithm: "token-bucket", amount: 10, windowMs: 3_600_000, burst: 10 },
    ];
    const id = randomUUID();
    const hold = { id, forMs: 60_000 };
    const both = [
      { limit: lease!, key, amount: 1, bestEffort: false, hold },
      { limit: counted!, key: `${key}c`, amount: 5, bestEffort: false, hold },
    ];
    t.true((await one.quota(both)).every(({ allowed }) => allowed));
    t.false((await other.quota(both))[0]!.allowed);
    const answers = await Promise.all(
      [one, other, one, other].map((hub) => hub.instance.holds!([{ id, kind: "release" }], fakeCall())),
    );
    t.deepEqual(answers.flat(2), [{ limit: "lease", units: 1 }]);
    t.true((await one.take({ limit: lease!, key })).allowed);
    const [[refunded] = []] = await other.instance.holds!([{ id, kind: "refund" }], fakeCall());
    t.is(refunded?.limit, "counted");
    t.deepEqual(await one.instance.holds!([{ id, kind: "refund" }], fakeCall()), [[]]);
  });

  test("keeps the time by Redis's clock, and lets keys expire", async (t) => {
    const hub = await opened(t, redis, { url, prefix: "expiry:", timeout: "5s" });
    hub.host.setTime(0);
    const limit: Limit = { id: "l", algorithm: "fixed-window", amount: 5, windowMs: 60_000, burst: 5 };
    const [grant] = await hub.quota([{ limit, key: "k", amount: 1, bestEffort: false, dedupId: "id" }]);
    const [seconds] = await server.client.time();
    const end = (Math.floor((Number(seconds) * 1000) / 60_000) + 1) * 60_000;
    t.true(Math.abs(grant!.resetMs - (end - Number(seconds) * 1000)) <= 60_000);
    const keys = (await server.client.keys("expiry:{*")).sort();
    t.deepEqual(keys, ["expiry:{k}", "expiry:{k}id"]);
    for (const key of keys) t.true((await server.client.pttl(key)) > 0, key);
    await hub.close();
  });

  test("decides by Redis's clock which window of a calendar it is, whatever the hub's clock says", async (t) => {
    const [seconds] = await server.client.time();
    const now = Number(seconds) * 1000;
    const key = randomUUID();
    const limit: Limit = {
      ...{ id: "l", algorithm: "calendar", amount: 3, windowMs: 365 * 86_400_000, burst: 3 },
      calendar: { unit: "year", zone: "UTC" },
    };
    const year = new Date(now).getUTCFullYear();
    for (const hubsYear of [year, year - 1, year + 1, year - 5]) {
      const hub = await opened(t, redis, { url, timeout: "5s" });
      hub.host.setTime(Date.UTC(hubsYear, 5, 15));
      await hub.quota([{ limit, key, amount: 1, bestEffort: false }]);
    }
    const hub = await opened(t, redis, { url, timeout: "5s" });
    const [grant] = await hub.quota([{ limit, key, amount: 0, bestEffort: false }]);
    t.is(grant!.remaining, 0);
  });

  test("goes on when Redis has forgotten the scripts", async (t) => {
    const hub = await opened(t, redis, { url, timeout: "5s" });
    await hub.take();
    await server.client.script("FLUSH");
    t.true((await hub.take()).allowed);
    await hub.close();
  });

  test("a key that holds something else fails only the decisions that need it", async (t) => {
    const hub = await opened(t, redis, { url, prefix: "else:", timeout: "5s" });
    await server.client.rpush("else:{list}", "no counter");
    await server.client.set("else:{short}", "short");
    const keys = Array.from({ length: 200 }, (_, i) => (i % 50 === 7 ? "list" : i % 50 === 9 ? "short" : `key-${i}`));
    const answers = await Promise.allSettled(keys.map((key) => hub.take({ key })));
    for (const [i, answer] of answers.entries()) {
      const good = keys[i]!.startsWith("key-");
      t.is(answer.status, good ? "fulfilled" : "rejected");
      if (answer.status === "rejected") t.regex(String(answer.reason), /WRONGTYPE|data string too short/);
    }
    // Long enough to be read as numbers, with which no count can reckon.
    const sliding: Limit = { ...limit, algorithm: "sliding-window" };
    await server.client.set("else:{long}", Buffer.alloc(200, 0xff));
    const [before, long, after] = await Promise.allSettled([
      hub.take({ key: "before" }),
      hub.take({ key: "long", limit: sliding }),
      hub.take({ key: "after" }),
    ]);
    t.deepEqual([before.status, long.status, after.status], ["fulfilled", "rejected", "fulfilled"]);
    t.is((await hub.take({ key: "before", amount: 0 })).remaining, 9);
    const both = [chargeOf({ key: "other" }), chargeOf({ key: "list" })];
    await t.throwsAsync(hub.quota(both), { message: /WRONGTYPE/ });
    t.is((await hub.take({ key: "other", amount: 0 })).remaining, 10);
    await hub.close();
  });

  test("writes nothing for what is refused or only asked", async (t) => {
    const hub = await opened(t, redis, { url, prefix: "quiet:", timeout: "5s" });
    t.is((await hub.take({ amount: 0 })).remaining, 10);
    t.false((await hub.take({ amount: 11 })).allowed);
    t.deepEqual(await server.client.keys("quiet:{*"), []);
    await hub.close();
  });

  test("counts the hubs that share a prefix, keeps the count while Redis is away, and sees who leaves", async (t) => {
    const own = (await startRedis()) as RedisServer;
    t.teardown(() => own.kill());
    const config = { url: `redis://127.0.0.1:${own.port}`, timeout: "5s" };
    const hubs = [await opened(t, redis, config), await opened(t, redis, config), await opened(t, redis, config)];
    await opened(t, redis, { ...config, prefix: "other:" });
    const [first, second, third] = hubs as [Opened, Opened, Opened];
    // Each says again that it is there: a machine under load may have taken longer than that is remembered.
    await Promise.all(hubs.map(({ host }) => host.advance(2000)));
    await first.host.advance(2000);
    t.is(first.instance.peers!(), 3);
    await third.close();
    await Promise.all([first, second].map(({ host }) => host.advance(2000)));
    await first.host.advance(2000);
    t.is(first.instance.peers!(), 2);
    // One that is killed says nothing any more.
    await own.client.zadd("weir:hubs", 1, "crashed");
    await Promise.all([first, second].map(({ host }) => host.advance(2000)));
    await second.host.advance(2000);
    t.is(second.instance.peers!(), 2);
    await own.kill();
    await first.host.advance(2000);
    t.is(first.instance.peers!(), 2);
    const alone = await opened(t, redis, config);
    t.is(alone.instance.peers!(), undefined, "it has never seen the store");
  });

  test("reads the limits of single keys from a hash, again and again, and keeps what it had of those that are wrong", async (t) => {
    const { client } = server;
    await client.hset("plans", { acme: "1000/s 2000", other: "5/m", bad: "many" });
    const hub = await opened(t, redis, { url, table: "plans", tableRefresh: "1s", tableRows: 100, timeout: "5s" });
    const row = (key: string) => hub.instance.table!(key);
    t.deepEqual(row("acme"), { amount: 1000, windowMs: 1000, burst: 2000 });
    t.is(row("bad"), undefined);
    t.is(row("nobody"), undefined);
    t.is(hub.host.events.get("table_refused"), 1);
    const before = row("other");
    await client.hset("plans", { acme: "none", bad: "7/s" });
    await hub.host.advance(1000);
    t.is(row("other"), before, "the same limit is the same object");
    t.deepEqual(row("acme"), { amount: 1000, windowMs: 1000, burst: 2000 });
    t.deepEqual(row("bad"), { amount: 7, windowMs: 1000 });
    await client.hset("plans", Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, "1/s"])));
    await hub.host.advance(1000);
    t.is(row("k1"), undefined, "more than it may have: the one before goes on");
    await client.del("plans");
    await hub.host.advance(1000);
    t.is(row("acme"), undefined);
    await hub.close();
  });

  test("warns where Redis may evict counters", async (t) => {
    const evicting = (await startRedis({
      args: ["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"],
    })) as RedisServer;
    t.teardown(() => evicting.kill());
    const hub = await opened(t, redis, { url: `redis://127.0.0.1:${evicting.port}`, timeout: "5s" });
    await hub.saw("may evict");
    t.is(hub.host.events.get("may_evict"), 1);
    await hub.close();
  });

  test("proves who it is, by a password of its configuration or of a file", async (t) => {
    const guarded = (await startRedis({ password: "s3cret" })) as RedisServer;
    t.teardown(() => guarded.kill());
    const hub = await opened(t, redis, { url: `redis://:s3cret@127.0.0.1:${guarded.port}`, timeout: "5s" });
    t.true((await hub.take()).allowed);
    await hub.close();
    const stranger = await makeInstance(redis, { url: `redis://127.0.0.1:${guarded.port}` }, fakeHost());
    await t.throwsAsync(async () => stranger.quota!([chargeOf({})], fakeCall()));
    await stranger.close!();
  });

  test("speaks TLS, with a certificate of its own, to a server whose certificate it verifies", async (t) => {
    const authority = createAuthority();
    const [served, shown] = [authority.issue(), authority.issue({ name: "hub" })];
    const folder = mkdtempSync(join(tmpdir(), "weir-redis-tls-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const ca = file("ca.pem", authority.cert);
    const port = await freePort();
    const secured = (await startRedis({
      args: [
        ...["--tls-port", String(port), "--tls-ca-cert-file", ca],
        ...["--tls-cert-file", file("server.pem", served.cert), "--tls-key-file", file("server.key", served.key)],
      ],
    })) as RedisServer;
    t.teardown(() => secured.kill());
    const own = { cert: file("hub.pem", shown.cert), key: file("hub.key", shown.key) };
    const to = { url: `rediss://127.0.0.1:${port}`, timeout: "5s" };
    const hub = await opened(t, redis, { ...to, tls: { ca, ...own } });
    t.true((await hub.take()).allowed);
    await hub.close();
    for (const tls of [own, { ca }, { ca: file("other.pem", createAuthority("other").cert), ...own }]) {
      const stranger = await opened(t, redis, { ...to, tls });
      await t.throwsAsync(stranger.take());
      await stranger.close();
    }
  });

  test("finds the master by the Sentinels, and the new one after a failover", async (t) => {
    const master = (await startRedis()) as RedisServer;
    const replica = (await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] })) as RedisServer;
    const sentinel = await startSentinel(master.port);
    t.teardown(() => Promise.all([master, replica, sentinel].map((each) => each.kill())));
    const hub = await opened(t, redis, { sentinels: [`127.0.0.1:${sentinel.port}`], master: "limits", timeout: "5s" });
    // A hub starts without a master that a machine under load does not make known in time.
    await hub.recovers();
    await hub.take({ amount: 7 });
    while (Number(await replica.client.dbsize()) === 0);
    await sentinel.failOver();
    while ((await replica.client.role())[0] !== "master");
    await master.kill();
    await hub.recovers();
    t.is((await hub.take({ amount: 0 })).remaining, 3);
    await hub.close();
  });

  test("takes all or nothing over the nodes of a cluster, and goes on when one of them is gone", async (t) => {
    const nodes = await startCluster();
    t.teardown(() => Promise.all(nodes.map((node) => node.kill())));
    const cluster = nodes.map(({ port }) => `127.0.0.1:${port}`);
    const hub = await opened(t, redis, { cluster, timeout: "5s" });
    // Two keys of one node in slots of their own, and one of another node.
    const keys = ["hello", "bar", "foo"];
    const slots = await Promise.all(keys.map((key) => nodes[0]!.client.call("CLUSTER", "KEYSLOT", `weir:{${key}}`)));
    t.deepEqual(slots.map((slot) => Math.floor(Number(slot) / 5462)).sort(), [0, 0, 2]);

    const batch = (amounts: readonly number[]): Charge[] =>
      keys.map((key, i) => chargeOf({ key, amount: amounts[i]!, dedupId: randomUUID() }));
    const shown = (grants: readonly Grant[]) => grants.map((grant) => [grant.allowed, grant.granted, grant.remaining]);
    t.deepEqual(shown(await hub.quota(batch([4, 4, 9]))), [
      [true, 4, 6],
      [true, 4, 6],
      [true, 9, 1],
    ]);
    t.deepEqual(shown(await hub.quota(batch([4, 4, 2]))), [
      [true, 0, 6],
      [true, 0, 6],
      [false, 0, 1],
    ]);
    await hub.instance.refund!(batch([4, 4, 9]), fakeCall());
    t.deepEqual(shown(await hub.quota(batch([10, 10, 10]))), [
      [true, 10, 0],
      [true, 10, 0],
      [true, 10, 0],
    ]);

    // What is held of a decision lies with its counts, wherever those are.
    await hub.instance.refund!(batch([10, 10, 10]), fakeCall());
    const id = randomUUID();
    await hub.quota(batch([4, 4, 9]).map((charge) => ({ ...charge, hold: { id, forMs: 60_000 } })));
    const second = await opened(t, redis, { cluster, timeout: "5s" });
    const [refunded] = await second.instance.holds!([{ id, kind: "refund" }], fakeCall());
    t.deepEqual(
      refunded?.map(({ units }) => Math.round(units)),
      [4, 4, 9],
    );
    t.deepEqual(await hub.instance.holds!([{ id, kind: "refund" }], fakeCall()), [[]]);
    t.deepEqual(shown(await hub.quota(batch([10, 10, 10]))), [
      [true, 10, 0],
      [true, 10, 0],
      [true, 10, 0],
    ]);

    const { limit } = chargeOf({});
    const top = await hub.instance.usage!.top(limit, "", 10, fakeCall());
    t.deepEqual(top.keys.map(({ key, used }) => [key, used]).sort(), keys.map((key) => [key, 10]).sort());
    t.is(await hub.instance.usage!.resetAll(limit, "", fakeCall()), 3);
    t.deepEqual(
      shown(await hub.quota(batch([10, 10, 10])))
        .flat()
        .filter((each) => each === true).length,
      3,
    );

    // The counts of a group lie together, whatever their keys.
    const group = keys.map((key) => chargeOf({ key, group: "top" }));
    t.deepEqual(shown(await hub.quota(group)).flat(), [true, 1, 9, true, 1, 9, true, 1, 9]);
    const stored = await Promise.all(nodes.map(({ client }) => client.keys("weir:{top}*")));
    t.deepEqual(stored.map((found) => found.length).sort(), [0, 0, 3]);

    // People find them there, and those alone that they ask for.
    const usage = hub.instance.usage!;
    const used = async (start: string) =>
      (await usage.top(limit, start, 10, fakeCall())).keys.map((each) => `${each.key} ${each.used}`).sort();
    await hub.quota([chargeOf({ key: "fo%}l", group: "t}o", hold: { id, forMs: 60_000 }, dedupId: "}}d}" })]);
    t.deepEqual(await used("fo"), ["fo%}l 1", "foo 1", "foo 10"], "a key with a group is not the one without");
    t.deepEqual(await used("to"), []);
    const count = { limit, key: "foo", group: "top" };
    t.is((await usage.look(count, fakeCall())).used, 1);
    t.is((await usage.look({ limit, key: "foo" }, fakeCall())).used, 10);
    await usage.grant(count, 5, Date.now() + 60_000, fakeCall());
    t.is((await hub.quota([chargeOf({ key: "foo", group: "top", amount: 0 })]))[0]!.remaining, 14);
    await usage.reset(count, fakeCall());
    t.deepEqual(await used("fo"), ["fo%}l 1", "foo 10"]);
    t.is(await usage.resetAll(limit, "fo", fakeCall()), 2);
    t.deepEqual(await used("fo"), []);

    // What the node answers for that is gone fails; nothing is taken of the others.
    await hub.instance.refund!(batch([10, 10, 10]), fakeCall());
    await nodes[2]!.kill();
    await t.throwsAsync(hub.quota(batch([5, 5, 5])));
    t.is((await hub.take({ key: "hello", amount: 0 })).remaining, 10);
    await hub.close();
  });

  test("starts while Redis loads its data, and counts there once it has", async (t) => {
    const loading = (await startRedis({
      args: ["--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"],
    })) as RedisServer;
    t.teardown(() => loading.kill());
    await loading.client.eval("for i = 1, 30000 do redis.call('SET', 'k' .. i, 'v') end", 0);
    await loading.client.config("SET", "key-load-delay", "2000");
    const reloaded = loading.client.call("DEBUG", "RELOAD").catch(() => undefined);
    const hub = await opened(t, redis, { url: `redis://127.0.0.1:${loading.port}`, timeout: "200ms" });
    await hub.saw("redis is not ready");
    await t.throwsAsync(hub.take(), { message: /Connection to redis is down/ });
    const aside = loading.client.duplicate({ enableReadyCheck: false });
    t.teardown(() => aside.disconnect());
    await aside.config("SET", "key-load-delay", "0");
    await reloaded;
    await hub.recovers();
    t.true((await hub.take()).allowed);
    await hub.close();
  });

  test("fails in time while Redis is slow, is gone or is a replica, and serves when it is back", async (t) => {
    const first = (await startRedis()) as RedisServer;
    t.teardown(() => first.kill());
    const { port } = first;
    const hub = await opened(t, redis, { url: `redis://127.0.0.1:${port}`, timeout: "200ms" });
    await hub.recovers();
    t.true((await hub.take()).allowed);

    await first.client.call("CLIENT", "PAUSE", "60000", "ALL");
    // The hub waits for no longer than `timeoutMs`; a connection that owes an answer for a second is made anew.
    t.is(hub.instance.timeoutMs, 200);
    await t.throwsAsync(hub.take(), { message: /broke before its answer came/ });
    await first.kill();
    await t.throwsAsync(hub.take());

    const second = (await startRedis({ port })) as RedisServer;
    t.teardown(() => second.kill());
    await hub.recovers();
    await second.client.call("REPLICAOF", "127.0.0.1", "1");
    await t.throwsAsync(hub.take(), { message: /READONLY|MASTERDOWN|Connection|writeable/ });
    await second.client.call("REPLICAOF", "NO", "ONE");
    await hub.recovers();
    await second.client.config("SET", "maxmemory", "1");
    await t.throwsAsync(hub.take(), { message: /OOM/ });
    await hub.close();
  });

  test("a connection lasts, whatever the one before it owed", async (t) => {
    const first = (await startRedis()) as RedisServer;
    const { port } = first;
    const hub = await opened(t, redis, { url: `redis://127.0.0.1:${port}`, timeout: "50ms" });
    await hub.recovers();
    first.process.kill("SIGSTOP");
    const owed = t.throwsAsync(hub.take(), { message: /broke before its answer came/ });
    await first.kill();
    await owed;
    const second = (await startRedis({ port })) as RedisServer;
    t.teardown(() => second.kill());
    await hub.recovers();
    const lost = hub.host.logs.filter(({ message }) => message === "there is no connection to redis").length;
    // Longer than an answer may be owed.
    for (const start = performance.now(); performance.now() - start < 1500;) await hub.take({ amount: 0 });
    t.is(hub.host.logs.filter(({ message }) => message === "there is no connection to redis").length, lost);
    await hub.close();
  });
}

const limit: Limit = { id: "policy/rule", algorithm: "token-bucket", amount: 10, windowMs: 3_600_000, burst: 10 };

/** Two decisions that take nothing under one deduplication id, each of which is ended for itself. */
function heldForNothing(limit: Limit) {
  const step = { passMs: 0, refund: false, granted: undefined, reset: undefined };
  const charge = { limit, key: "one", amount: 0, more: undefined, bestEffort: false, id: "a" } as const;
  const heldBy = (id: "x" | "y") => [{ ...charge, hold: { id, forMs: 15_000 as const } }];
  const endOf = (id: "x" | "y") => ({ id, kind: "end" as const, number: 3 });
  return [
    { ...step, decisions: [heldBy("x")], changes: [] },
    { ...step, decisions: [heldBy("y")], changes: [endOf("x"), endOf("y")] },
  ];
}

function chargeOf(part: Partial<Charge>): Charge {
  return { limit, key: "key", amount: 1, bestEffort: false, ...part };
}

interface Opened {
  readonly host: FakeHost;
  readonly instance: Instance;
  quota(charges: readonly Charge[]): Promise<readonly Grant[]>;
  take(part?: Partial<Charge>): Promise<Grant>;
  saw(text: string): Promise<void>;
  /** Resolves when a charge is answered again. */
  recovers(): Promise<void>;
  close(): Promise<void>;
}

/** An instance with what a test does with it. */
async function opened(t: ExecutionContext, adapter: typeof redis | typeof memory, config: object): Promise<Opened> {
  const host = fakeHost();
  const instance = (await makeInstance(adapter as typeof memory, config as never, host)) as Instance;
  const key = randomUUID();
  const quota = async (charges: readonly Charge[]): Promise<readonly Grant[]> => instance.quota!(charges, fakeCall());
  const take = async (part: Partial<Charge> = {}): Promise<Grant> => (await quota([chargeOf({ key, ...part })]))[0]!;
  const until = async (holds: () => Promise<boolean> | boolean): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
  };
  const recovers = (): Promise<void> =>
    until(() =>
      take({ amount: 0 }).then(
        () => true,
        () => false,
      ),
    );
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= Promise.resolve(instance.close?.()).then(() => host.close()));
  t.teardown(close);
  return {
    host,
    instance,
    quota,
    take,
    saw: (text) => until(() => host.logs.some(({ message }) => message.includes(text))),
    recovers,
    close,
  };
}
