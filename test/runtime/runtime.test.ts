import test from "ava";
import { z } from "zod";
import { builtinAdapters } from "../../adapters/index.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Adapter, Host, Instance } from "../../src/sdk/index.ts";
import { bagOf } from "../attributes/bag-of.ts";
import { compiled, fakeClock, logLines, recorder, settled } from "./world.ts";
import type { Decision } from "../../src/runtime/decision.ts";

/** An adapter that writes down the life of its instances. */
function lived(
  name: string,
  methods: (config: { id?: string }) => Partial<Instance> = () => ({ check: () => ({ allow: true }) }),
) {
  const life: string[] = [];
  const hosts: Host[] = [];
  const adapter: Adapter = {
    name,
    provides: ["check"],
    input: {},
    config: z.looseObject({ id: z.string().optional() }),
    create(config, host) {
      const { id = name } = config as { id?: string };
      life.push(`create ${id}`);
      hosts.push(host);
      return { close: () => void life.push(`close ${id}`), ...methods({ id }) };
    },
  };
  return { adapter, life, hosts };
}

function running(options: { createMs?: number } = {}) {
  const clock = fakeClock();
  const { observer, told } = recorder();
  const { log, lines } = logLines();
  const life: string[] = [];
  const runtime = createRuntime<string>({
    fallback: builtinAdapters.get("memory")!,
    observer,
    log,
    now: () => clock.now(),
    monotonic: () => clock.now(),
    random: (bytes) => new Uint8Array(bytes),
    timers: clock,
    prepare: (snapshot) => {
      life.push(`prepare ${snapshot.policies[0]!.name}`);
      return snapshot.policies[0]!.name;
    },
    retire: (prepared) => void life.push(`retire ${prepared}`),
    ...options,
  });
  return { runtime, clock, told, lines, life };
}

const using = (policy: string, adapter: string): string => `policy: ${policy}\ncheck: [{ name: a, ask: ${adapter} }]`;

test("an instance whose configuration did not change stays over a reload; a changed one is replaced", async (t) => {
  const one = lived("one");
  const two = lived("two");
  const { runtime } = running();
  const adapters = [one.adapter, two.adapter];
  t.deepEqual(
    await runtime.activate(await compiled(using("p", "one"), adapters, "adapters: { one: { id: a }, two: { id: b } }")),
    [],
  );
  const serving = runtime.acquire();
  const before = serving.instanceOf("one");
  serving.release();
  t.deepEqual(
    await runtime.activate(await compiled(using("q", "one"), adapters, "adapters: { one: { id: a }, two: { id: c } }")),
    [],
  );
  t.is(runtime.acquire().instanceOf("one"), before);
  await settled();
  t.deepEqual(one.life, ["create a"]);
  t.deepEqual(two.life, ["create b", "create c", "close b"]);
});

test("an instance that is replaced is closed after its last request, once, and after what was prepared with it", async (t) => {
  let end!: () => void;
  const slow = lived("slow", () => ({ check: () => new Promise((resolve) => (end = () => resolve({ allow: true }))) }));
  const { runtime, life } = running();
  const first = await compiled(using("p", "slow"), [slow.adapter], "adapters: { slow: { id: a } }");
  await runtime.activate(first);
  const serving = runtime.acquire();
  const decision = serving.check(bagOf(first, {}), {}) as Promise<Decision>;
  await runtime.activate(await compiled(using("q", "slow"), [slow.adapter], "adapters: { slow: { id: b } }"));
  await settled();
  t.deepEqual(slow.life, ["create a", "create b"]);
  t.is(runtime.acquire().prepared, "q", "the next request is on the new policies");
  end();
  t.true((await decision).allowed);
  t.deepEqual(life, ["prepare p", "prepare q"]);
  serving.release();
  await settled();
  t.deepEqual(life, ["prepare p", "prepare q", "retire p"]);
  t.deepEqual(slow.life, ["create a", "create b", "close a"]);
  t.true(slow.hosts[0]!.signal.aborted);
  t.false(slow.hosts[1]!.signal.aborted);
});

test("when one adapter cannot be made nothing changes, what was made is closed, and the problem has its place", async (t) => {
  const good = lived("good");
  const bad = lived("bad", ({ id }) => {
    if (id === "broken") throw new Error("no such host");
    return { check: () => ({ allow: true }) };
  });
  const { runtime } = running();
  const adapters = [good.adapter, bad.adapter];
  await runtime.activate(await compiled(using("p", "good"), adapters, "adapters: { good: {}, bad: {} }"));
  const problems = await runtime.activate(
    await compiled(using("q", "good"), adapters, "adapters:\n  good: { id: new }\n  bad: { id: broken }\n"),
  );
  t.is(problems.length, 1);
  t.like(problems[0], {
    file: "weir.yaml",
    line: 3,
    column: 3,
    code: "WEIR_ADAPTER_LOAD",
    severity: "error",
    message: 'the adapter "bad" could not be made: no such host',
    text: "  bad: { id: broken }",
  });
  t.is(runtime.acquire().snapshot.policies[0]!.name, "p");
  t.deepEqual(good.life, ["create good", "create new", "close new"]);
});

test("an instance without a method that its adapter declares is refused, and closed", async (t) => {
  const odd = lived("odd", () => ({}));
  const { runtime } = running();
  const problems = await runtime.activate(await compiled(using("p", "odd"), [odd.adapter]));
  t.regex(problems[0]!.message, /declares check but its instance has no such method/);
  t.deepEqual(odd.life, ["create odd", "close odd"]);
});

test("a member of an instance that looks like one that it lacks is told, and what was meant", async (t) => {
  class Odd {
    readonly timeoutMS = 50;
    /** Looks like `logs`, and is none. */
    readonly log = {};
    get peer(): number {
      throw new Error("nobody asks");
    }
    check(): { allow: true } {
      return { allow: true };
    }
    clsoe(): void {}
    /** Looks like `spans`, which it does not provide. */
    span(): void {}
    unready(): undefined {}
    readyness(): void {}
  }
  const { runtime, lines } = running();
  const odd: Adapter = { name: "odd", provides: ["check"], config: z.looseObject({}), create: () => new Odd() };
  t.deepEqual(await runtime.activate(await compiled(using("p", "odd"), [odd])), []);
  const told = lines.map(({ message }) => message).filter((message) => message.includes("nobody calls"));
  t.deepEqual(told.sort(), [
    'the instance has "clsoe", which nobody calls: did you mean "close"?',
    'the instance has "timeoutMS", which nobody calls: did you mean "timeoutMs"?',
  ]);
  const wrong = lived("wrong", () => ({ chekc: () => ({ allow: true }) }) as never);
  const problems = await runtime.activate(await compiled(using("p", "wrong"), [wrong.adapter]));
  t.regex(problems[0]!.message, /declares check but its instance has no such method; it has "chekc"/);
  const text: Adapter = { ...odd, name: "text", create: () => "no instance" as never };
  const [none] = await runtime.activate(await compiled(using("p", "text"), [text]));
  t.regex(none!.message, /declares check but its instance has no such method$/);
});

test("an adapter that takes too long to be made is refused, and closed when it is there after all", async (t) => {
  let ready!: () => void;
  const life: string[] = [];
  const slow: Adapter = {
    name: "slow",
    provides: ["check"],
    config: z.looseObject({}),
    create: () =>
      new Promise(
        (resolve) => (ready = () => resolve({ check: () => ({ allow: true }), close: () => void life.push("close") })),
      ),
  };
  const { runtime, clock } = running({ createMs: 500 });
  const activating = runtime.activate(await compiled(using("p", "slow"), [slow]));
  await clock.advance(500);
  t.regex((await activating)[0]!.message, /not ready within 500 ms/);
  ready();
  await settled();
  t.deepEqual(life, ["close"]);
});

test("when the rest cannot be prepared nothing changes and what was made is closed", async (t) => {
  const one = lived("one");
  const { log } = logLines();
  const clock = fakeClock();
  let fail = false;
  const runtime = createRuntime<undefined>({
    fallback: builtinAdapters.get("memory")!,
    observer: recorder().observer,
    log,
    now: () => 0,
    monotonic: () => 0,
    random: (bytes) => new Uint8Array(bytes),
    timers: clock,
    prepare: () => {
      if (fail) throw new Error("a bad metric");
    },
    retire: () => undefined,
  });
  await runtime.activate(await compiled(using("p", "one"), [one.adapter]));
  fail = true;
  const problems = await runtime.activate(
    await compiled(using("q", "one"), [one.adapter], "adapters: { one: { id: b } }"),
  );
  t.is(problems[0]!.message, "a bad metric");
  t.is(runtime.acquire().snapshot.policies[0]!.name, "p");
  t.deepEqual(one.life, ["create one", "create b", "close b"]);
});

test("reloads that come at the same time wait for each other", async (t) => {
  const one = lived("one");
  const { runtime } = running();
  const snapshots = await Promise.all(["p", "q", "r"].map((name) => compiled(using(name, "one"), [one.adapter])));
  await Promise.all(snapshots.map((snapshot) => runtime.activate(snapshot)));
  t.is(runtime.acquire().prepared, "r");
  t.deepEqual(one.life, ["create one"]);
});

test("limits keep their counts over a reload that changes only the amount", async (t) => {
  const { runtime } = running();
  const check = (): Decision => {
    const serving = runtime.acquire();
    const decision = serving.check(bagOf(serving.snapshot, {}), {}) as Decision;
    serving.release();
    return decision;
  };
  const limited = (rate: string): string => `policy: p\ncheck: [{ name: l, limit: ${rate}, algorithm: fixed-window }]`;
  await runtime.activate(await compiled(limited("10/h")));
  for (let i = 0; i < 8; i++) t.true(check().allowed);
  await runtime.activate(await compiled(limited("9/h")));
  t.is(check().limits[0]!.remaining, 0);
  await runtime.activate(await compiled(limited("20/h")));
  t.is(check().limits[0]!.remaining, 10);
  await runtime.activate(await compiled(limited("20/d")));
  t.is(check().limits[0]!.remaining, 19);
});

test("jobs of an instance run again and again, never twice at once, and end with it", async (t) => {
  let runs = 0;
  let end: (() => void) | undefined;
  const one = lived("one");
  const { runtime, clock, lines } = running();
  await runtime.activate(await compiled(using("p", "one"), [one.adapter]));
  one.hosts[0]!.every(100, () => {
    runs++;
    if (runs === 2) throw new Error("oops");
    if (runs === 3) return new Promise<void>((resolve) => (end = resolve));
    return undefined;
  });
  await clock.advance(1000);
  t.is(runs, 3);
  t.is(lines.filter(({ message }) => message === "a job failed").length, 1);
  end!();
  await clock.advance(100);
  t.is(runs, 4);
  await runtime.close(1000);
  await clock.advance(1000);
  t.is(runs, 4);
});

test("what an instance counts and logs bears its name", async (t) => {
  const one = lived("one");
  const { runtime, told, lines } = running();
  await runtime.activate(await compiled(using("p", "one"), [one.adapter]));
  one.hosts[0]!.count("refreshed");
  one.hosts[0]!.log.info({ entries: 3 }, "read");
  t.true(told.includes("event one refreshed 1"));
  t.deepEqual(lines.at(-1), { level: "info", fields: { adapter: "one", entries: 3 }, message: "read" });
});

test("close waits for the requests under way, then closes everything; nothing serves after it", async (t) => {
  const one = lived("one");
  const { runtime, life } = running();
  await runtime.activate(await compiled(using("p", "one"), [one.adapter]));
  const serving = runtime.acquire();
  let closed = false;
  const closing = runtime.close(1000).then(() => (closed = true));
  await settled();
  t.false(closed);
  t.deepEqual(one.life, ["create one"]);
  serving.release();
  await closing;
  t.deepEqual(one.life, ["create one", "close one"]);
  t.deepEqual(life, ["prepare p", "retire p"]);
  t.throws(() => runtime.acquire(), { message: /does not serve/ });
  await t.throwsAsync(runtime.activate(await compiled(using("p", "one"), [one.adapter])), { message: /stopping/ });
});

test("close takes from requests that never end what they hold, within its deadline", async (t) => {
  let signal: AbortSignal | undefined;
  const stuck = lived("stuck", () => ({
    check: (_input, call) => {
      signal = call.signal;
      return new Promise(() => undefined);
    },
  }));
  const { runtime, clock, life } = running();
  const snapshot = await compiled(using("p", "stuck"), [stuck.adapter]);
  await runtime.activate(snapshot);
  const serving = runtime.acquire();
  void serving.check(bagOf(snapshot, {}), {});
  let closed = false;
  const closing = runtime.close(1000).then(() => (closed = true));
  await clock.advance(999);
  t.false(closed);
  await clock.advance(1);
  await closing;
  t.true(signal!.aborted);
  t.true(stuck.hosts[0]!.signal.aborted);
  t.deepEqual(life, ["prepare p", "retire p"]);
  serving.release();
  await settled();
  t.deepEqual(life, ["prepare p", "retire p"]);
});

test("an adapter that fails to close is logged, and the others are closed all the same", async (t) => {
  const bad = lived("bad", () => ({ check: () => ({ allow: true }), close: () => Promise.reject(new Error("stuck")) }));
  const good = lived("good");
  const { runtime, lines } = running();
  await runtime.activate(await compiled(using("p", "good"), [bad.adapter, good.adapter]));
  await runtime.close(1000);
  t.deepEqual(good.life, ["create good", "close good"]);
  t.true(lines.some(({ message }) => message === "the adapter failed to close"));
});

test("instances are listed with their entries while they serve", async (t) => {
  const one = lived("one");
  const { runtime } = running();
  t.deepEqual(runtime.instances(), []);
  await runtime.activate(await compiled(using("p", "one"), [one.adapter]));
  t.deepEqual(
    runtime
      .instances()
      .map(({ entry }) => entry.name)
      .sort(),
    ["memory", "one", "prometheus", "stdout"],
  );
});
