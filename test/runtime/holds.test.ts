import test from "ava";
import type { Charge, Grant, HoldChange } from "../../src/sdk/index.ts";
import { settled, stub, world } from "./world.ts";

const atOnce = `policy: p
check: [{ name: l, limit: 2, algorithm: concurrency, ttl: 10s }]`;

test("so many requests may be at work at once; one that is over makes room", async (t) => {
  const { checkNow, hold } = await world(atOnce);
  const [one, two, three] = [checkNow({}), checkNow({}), checkNow({})];
  t.true(one.allowed && two.allowed);
  t.like(three, { allowed: false, code: 8, message: "p/l: the limit of 2 at once is used up" });
  t.deepEqual(three.limits, [
    {
      rule: "p/l",
      allowed: false,
      amount: 2,
      windowMs: 10_000,
      concurrent: true,
      remaining: 0,
      resetMs: three.limits[0]!.resetMs,
    },
  ]);
  t.deepEqual(await hold({ kind: "release", id: one.id }), ["p/l 1"]);
  t.deepEqual(await hold({ kind: "release", id: one.id }), []);
  t.deepEqual(await hold({ kind: "release", id: three.id }), []);
  t.true(checkNow({}).allowed);
  t.false(checkNow({}).allowed);
});

test("a request that nobody ends is over when its lease is, unless it is renewed", async (t) => {
  const { checkNow, hold, clock } = await world(atOnce);
  const [kept] = [checkNow({}), checkNow({})];
  await clock.advance(6_000);
  t.deepEqual(await hold({ kind: "renew", id: kept.id }), ["p/l 1"]);
  await clock.advance(5_000);
  t.true(checkNow({}).allowed);
  t.false(checkNow({}).allowed);
  t.deepEqual(await hold({ kind: "renew", id: kept.id, forMs: 1 }), ["p/l 1"]);
  await clock.advance(700);
  t.deepEqual(await hold({ kind: "renew", id: kept.id }), []);
});

test("a refused request holds nothing, whatever else it would have taken", async (t) => {
  const { checkNow, hold, rateLimitNow } = await world(`policy: p
check:
  - { name: full, limit: 1/h }
  - { name: l, limit: 2, algorithm: concurrency }
---
policy: rl
check:
  - { name: full, limit: 1/h, at: ratelimit }
  - { name: l, limit: 2, algorithm: concurrency, at: ratelimit }`);
  const first = checkNow({});
  const second = checkNow({});
  t.false(second.allowed);
  t.deepEqual(await hold({ kind: "release", id: second.id }), []);
  t.deepEqual(await hold({ kind: "release", id: first.id }), ["p/l 1"]);
  t.true(rateLimitNow([[{}]], { each: true }).allowed);
  const each = rateLimitNow([[{}]], { each: true });
  t.false(each.allowed);
  t.deepEqual(await hold({ kind: "release", id: each.id.text }), []);
  const peek = rateLimitNow([[{}, { hits: 0 }]]);
  t.deepEqual(await hold({ kind: "release", id: peek.id.text }), []);
});

test("limits that a caller names are held too, and a retry holds what the first call took", async (t) => {
  const { checkNow, hold } = await world(atOnce);
  const asked = { quotas: new Map([["l", { amount: 2, bestEffort: false }]]), dedupId: "d", caller: "c" };
  const [first, retry] = [checkNow({}, asked), checkNow({}, asked)];
  t.is(first.quotas.get("l")?.granted, 2);
  t.is(retry.quotas.get("l")?.granted, 2);
  t.not(first.id, retry.id);
  t.deepEqual(await hold({ kind: "release", id: retry.id }), ["p/l 2"]);
  t.deepEqual(await hold({ kind: "release", id: first.id }), []);
});

test("a limit gives back what a decision took for as long as it holds, and one without hold nothing", async (t) => {
  const { checkNow, hold, clock } = await world(`policy: p
check:
  - { name: a, limit: 10/h, hold: 1m, cost: "4" }
  - { name: b, limit: 10/h, hold: 2m, cost: "3" }
  - { name: c, limit: 10/h }`);
  const decision = checkNow({});
  t.deepEqual(await hold({ kind: "release", id: decision.id }), []);
  t.deepEqual(await hold({ kind: "refund", id: decision.id, rule: "p/c" }), []);
  t.deepEqual(await hold({ kind: "refund", id: decision.id, rule: "p/a", amount: 1 }), ["p/a 1"]);
  t.deepEqual(await hold({ kind: "refund", id: decision.id, rule: "p/a" }), []);
  await clock.advance(60_001);
  const [refunded, ...none] = await hold({ kind: "refund", id: decision.id });
  t.regex(refunded!, /^p\/b 2\.8333/);
  t.deepEqual(none, []);
  t.deepEqual(await hold({ kind: "refund", id: decision.id }), []);
});

test("a policy that observes holds on a count of its own", async (t) => {
  const { checkNow, end, hold } = await world(`policy: o
mode: observe
check: [{ name: l, limit: 1, algorithm: concurrency }]`);
  const decision = checkNow({});
  t.deepEqual(checkNow({}).observed, ["o/l"]);
  end({ "check.decision_id": decision.id });
  t.deepEqual(checkNow({}).observed, []);
  t.deepEqual(await hold({ kind: "release", id: decision.id }), []);
});

const settling = `policy: p
check:
  - { name: bytes, limit: 1000/h, cost: "100", settle: response.size }
  - { name: l, limit: 5, algorithm: concurrency }`;
const left = (decision: { limits: readonly { remaining: number }[] }) =>
  decision.limits.map(({ remaining }) => remaining);

test("the report of a request ends its leases and settles what it took, once", async (t) => {
  const { checkNow, end } = await world(settling);
  const one = checkNow({});
  t.deepEqual(left(one), [900, 4]);
  end({ "check.decision_id": one.id, "response.size": 40 });
  end({ "check.decision_id": one.id, "response.size": 0 });
  const two = checkNow({});
  t.deepEqual(left(two), [860, 4]);
  end({ "ratelimit.decision_id": two.id, "response.size": 5000 });
  const refused = checkNow({});
  t.like(refused, { allowed: false, rules: ["p/bytes"] });
  t.true(refused.limits[0]!.retryAfterMs! > 3_600_000 * 4, "what was used beyond the limit is paid off first");
});

test("what does not end a request, or does not say whose it was, leaves all as it is", async (t) => {
  const { checkNow, end, told, hold } = await world(settling);
  const one = checkNow({});
  for (const event of ["open", "continue"])
    end({ "check.decision_id": one.id, "response.size": 1, "connection.event": event });
  for (const id of ["", "x", one.id.toUpperCase(), `${one.id}0`, "0".repeat(32)])
    end({ "check.decision_id": id, "response.size": 1 });
  end({ "response.size": 1 });
  t.deepEqual(left(checkNow({})), [800, 3]);
  // Without a value the lease ends and the estimate stays; with one that cannot be, too.
  end({ "check.decision_id": one.id });
  t.deepEqual(left(checkNow({})), [700, 3]);
  const two = checkNow({});
  end({ "check.decision_id": two.id, "response.size": -1, "connection.event": "close" });
  t.deepEqual(
    told.filter((line) => line.includes("settle")),
    ["fault p/bytes settle"],
  );
  t.deepEqual(await hold({ kind: "refund", id: two.id }), ["p/bytes 100"]);
});

test("reports cost nothing where no rule asks for them", async (t) => {
  const { runtime, snapshot } = await world(`policy: p\ncheck: [{ name: l, limit: 5/s, hold: 1m }]`);
  t.is(runtime.acquire().holds.end, undefined);
  t.is(snapshot.reportLayout.find("check.decision_id"), undefined);
});

test("a store that does not answer is asked in batches, and what it was not told is counted", async (t) => {
  const batches: (readonly HoldChange[])[] = [];
  const answers: ((failed: boolean) => void)[] = [];
  const store = stub("store", {
    quota: (charges: readonly Charge[]): Grant[] =>
      charges.map(({ amount }) => ({ allowed: true, granted: amount, remaining: 1, resetMs: 1, validForMs: 1 })),
    holds(changes) {
      batches.push(changes);
      return new Promise((resolve, reject) =>
        answers.push((failed) => (failed ? reject(new Error("gone")) : resolve(changes.map(() => [])))),
      );
    },
  });
  const { checkNow, end, told, hold, clock } = await world(
    `policy: p\ncheck: [{ name: l, limit: 5, algorithm: concurrency, via: store }]`,
    [store],
  );
  const { id } = checkNow({});
  for (let i = 0; i < 250; i++) end({ "check.decision_id": id });
  t.deepEqual(
    batches.map(({ length }) => length),
    [1],
  );
  answers.shift()!(false);
  await settled();
  answers.shift()!(true);
  await settled();
  answers.shift()!(false);
  await settled();
  answers.shift()!(false);
  await settled();
  t.deepEqual(
    batches.map(({ length }) => length),
    [1, 100, 100, 49],
  );
  t.deepEqual(
    told.filter((line) => line.startsWith("dropped")),
    ["dropped hold fault 100"],
  );
  const asked = hold({ kind: "release", id });
  await clock.advance(2_000);
  await t.throwsAsync(asked, { message: /"store" did not answer/ });
});

test("an adapter that cannot hold is refused where something is to be held", async (t) => {
  const plain = stub("plain", { quota: () => [] });
  for (const rule of ["limit: 5, algorithm: concurrency", "limit: 5/s, hold: 1m", "limit: 5/s, settle: response.size"])
    await t.throwsAsync(world(`policy: p\ncheck: [{ name: l, ${rule}, via: plain }]`, [plain]), {
      message: /cannot hold what a decision took/,
    });
});
