import { randomUUID } from "node:crypto";
import test from "ava";
import type { Charge, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import redis from "../../adapters/redis/index.ts";
import { notRun } from "../e2e/programs.ts";
import { startRedis } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("units charged to Redis that were spent before", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());

  const opened = async (prefix: string) => {
    const host = fakeHost();
    const url = `redis://127.0.0.1:${server.port}`;
    const instance = await makeInstance(redis, { url, prefix, dedup: "10s", timeout: "10s" }, host);
    const quota = async (charges: readonly Charge[]): Promise<readonly Grant[]> => instance.quota(charges, fakeCall());
    return { quota, close: async () => instance.close?.() };
  };

  const hour = 3_600_000;
  const perHour: Limit = { id: "p/l", algorithm: "fixed-window", amount: 100, windowMs: 1000 * hour, burst: 100 };
  const limits: readonly (readonly [string, Limit])[] = [
    ["a window", perHour],
    ["a sliding window", { ...perHour, algorithm: "sliding-window" }],
    ["a token bucket", { ...perHour, algorithm: "token-bucket" }],
    ["a calendar", { ...perHour, algorithm: "calendar", calendar: { unit: "year", zone: "UTC" } }],
    ["a bounded limit", { ...perHour, algorithm: "token-bucket", consistency: "bounded" }],
  ];

  for (const [title, limit] of limits) {
    test(`${title}: what is sent again is counted once, by whichever hub it is, also after the time of other ids`, async (t) => {
      const prefix = `${randomUUID()}:`;
      const [one, other] = [await opened(prefix), await opened(prefix)];
      const payment = (amount: number, dedupId: string): Charge => ({
        ...{ limit, key: "k", amount, dedupId, bestEffort: true, spent: true },
      });
      await one.quota([payment(5, "first")]);
      await other.quota([payment(4, "first"), payment(3, "second")]);
      await one.quota([payment(3, "second"), payment(1, "first")]);
      // What they hold of a bounded limit goes back.
      await Promise.all([one.close(), other.close()]);
      const last = await opened(prefix);
      t.teardown(() => last.close());
      const [standing] = await last.quota([{ limit, key: "k", amount: 0, bestEffort: true }]);
      t.is(standing!.remaining, 100 - 5 - 3);

      const ids = await server.client
        .keys(`${prefix}*{k}*s*`)
        .then((keys) => keys.filter((key) => !key.endsWith("%leases")));
      const kept = await Promise.all(ids.map((key) => server.client.pttl(key)));
      t.is(kept.length, 2);
      for (const ms of kept) t.true(ms > 23 * hour && ms <= 24 * hour, String(ms));
    });
  }

  test("an id of units spent already is not kept longer than they can count, as far as a hub may believe", async (t) => {
    const prefix = `${randomUUID()}:`;
    const { quota, close } = await opened(prefix);
    t.teardown(close);
    const keptFor = async (limit: Limit, dedupId: string): Promise<number> => {
      await quota([{ limit, key: limit.algorithm, amount: 1, dedupId, bestEffort: true, spent: true }]);
      return server.client.pttl(`${prefix}{${limit.algorithm}}${dedupId}`);
    };
    const fast: Limit = { ...perHour, windowMs: 1000 };
    t.true((await keptFor(fast, "a")) <= 11_000);
    // One unit of it drains in 600 ms; by a hundredth part of the limit it counts for a minute.
    const bucket: Limit = { ...fast, algorithm: "token-bucket", windowMs: 60_000 };
    const ms = await keptFor(bucket, "b");
    t.true(ms > 50_000 && ms <= 61_000, String(ms));
  });
}
