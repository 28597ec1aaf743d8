import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { afterPush, encodeCurrent } from "../../src/policy/pushed/current.ts";
import { openFollower } from "../../src/policy/pushed/follower.ts";
import { decodeWord, type HubWord } from "../../src/policy/pushed/hub-word.ts";
import { encodeSet, setOf } from "../../src/policy/pushed/pushed-set.ts";
import type { PolicyStore, PolicyStoreHost } from "../../src/sdk/index.ts";
import { until } from "../e2e/clients.ts";
import { manualTimers } from "../wire/http2/wire.ts";

const setWith = (text: string) => setOf([{ path: "a.yaml", text }]);

/** A follower on a store of the test's own, which hears what the hub says and does with it what the test wants. */
async function follow(t: ExecutionContext, tell: (word: HubWord) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "weir-follower-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const timers = manualTimers();
  const sets = new Map<string, Uint8Array>();
  let current: Uint8Array | undefined;
  let fault: Error | undefined;
  let host: Pick<PolicyStoreHost, "changed"> = {};
  const warnings: unknown[] = [];
  const store = {
    async current() {
      if (fault !== undefined) throw fault;
      return current && { bytes: current, revision: 1 };
    },
    set: (version: string) => Promise.resolve(sets.get(version)),
    tell: (hub: string, bytes: Uint8Array) => tell(decodeWord(bytes, hub)!),
    forget: () => Promise.resolve(),
    close: () => Promise.resolve(),
  } as Partial<PolicyStore> as PolicyStore;
  const put = async (text: string): Promise<string> => {
    const set = setWith(text);
    sets.set(set.version, await encodeSet(set));
    current = encodeCurrent(afterPush(undefined, set.version, new Date(0).toISOString()));
    host.changed?.();
    return set.version;
  };
  await put("first");
  const loaded: string[] = [];
  const follower = await openFollower({
    open(opened) {
      host = opened;
      return Promise.resolve(store);
    },
    copy: join(folder, "copy.gz"),
    hub: "hub-1",
    log: { debug() {}, info() {}, warn: (...said) => void warnings.push(said), error() {} },
    timers,
    now: () => Date.UTC(2026, 0, 1) + timers.nowMs,
    monotonic: () => timers.nowMs,
    async onChange() {
      timers.nowMs += 30;
      await load();
    },
  });
  async function load(): Promise<void> {
    const set = follower.set("pushed");
    if ("version" in set) loaded.push(set.version);
    await follower.accepted();
  }
  await load();
  follower.start();
  t.teardown(() => follower.close());
  return { put, loaded, timers, warnings, away: (error?: Error) => (fault = error) };
}

test("a hub says what it serves, since when, and how long it took; and why it could not have what holds", async (t) => {
  const words: HubWord[] = [];
  const { put, timers, away } = await follow(t, async (word) => void words.push(word));
  await until(() => words.length === 1);
  const version = await put("second");
  await until(() => words.at(-1)!.serves === version);
  t.deepEqual(words.at(-1), { hub: "hub-1", serves: version, since: "2026-01-01T00:00:00.030Z", tookMs: 30 });
  away(new Error("no leader"));
  await until(() => {
    timers.pass(5000);
    return words.at(-1)!.lacks !== undefined;
  });
  t.is(words.at(-1)!.lacks, "no leader");
  t.is(words.at(-1)!.since, "2026-01-01T00:00:00.030Z");
  away();
  await until(() => {
    timers.pass(5000);
    return words.at(-1)!.lacks === undefined;
  });
  t.is(words.at(-1)!.serves, version);
});

test("words that do not arrive hold up no change, and are no more than a few", async (t) => {
  let onTheWay = 0;
  const { put, loaded, timers } = await follow(t, () => {
    onTheWay++;
    return new Promise(() => undefined);
  });
  for (let i = 0; i < 20; i++) {
    const version = await put(`set ${i}`);
    await until(() => {
      timers.pass(5000);
      return loaded.at(-1) === version;
    });
  }
  t.is(onTheWay, 8);
});

test("a hub that may not say what it serves tells so in its log, once", async (t) => {
  let tried = 0;
  const { put, loaded, timers, warnings } = await follow(t, () => {
    tried++;
    return Promise.reject(new Error("not allowed"));
  });
  await until(() => {
    timers.pass(5000);
    return tried > 3;
  });
  const version = await put("second");
  await until(() => loaded.at(-1) === version);
  t.is(warnings.length, 1);
});
