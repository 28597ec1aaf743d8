import test from "ava";
import { push, rollback } from "../../src/policy/pushed/pushing.ts";
import { setOf } from "../../src/policy/pushed/pushed-set.ts";
import type { PolicyStore } from "../../src/sdk/index.ts";

const setWith = (text: string) => setOf([{ path: "a.yaml", text }]);

/** A store in memory, in which some methods are others. */
function storeWith(others: (store: PolicyStore) => Partial<PolicyStore> = () => ({})) {
  const sets = new Map<string, Uint8Array>();
  let current: { bytes: Uint8Array; revision: number } | undefined;
  const store: PolicyStore = {
    prepare: async () => {},
    maxBytes: () => 1000,
    current: async () => current,
    async replace(bytes, revision) {
      if ((current?.revision ?? 0) !== revision) return false;
      current = { bytes, revision: revision + 1 };
      return true;
    },
    set: async (version) => sets.get(version),
    putSet: async (version, bytes) => void sets.set(version, bytes),
    dropSet: async (version) => void sets.delete(version),
    tell: async () => {},
    forget: async () => {},
    hubs: async () => () => {},
    close: async () => {},
  };
  return { store: { ...store, ...others(store) }, sets };
}

const away = () => Promise.reject(new Error("nats is away: timeout"));

test("a push whose answer is lost is one if it was made", async (t) => {
  const { store } = storeWith((memory) => ({
    async replace(bytes, revision) {
      await memory.replace(bytes, revision);
      return away();
    },
  }));
  const set = setWith("a");
  t.deepEqual(await push(store, set, Date.now), { version: set.version, from: undefined, litter: undefined });
});

test("a push that was not made fails with the reason, and one of which nobody can tell says so", async (t) => {
  const { store } = storeWith(() => ({ replace: away }));
  await t.throwsAsync(push(store, setWith("a"), Date.now), { message: "nats is away: timeout" });
  let isAway = false;
  const lost = storeWith((memory) => ({
    replace() {
      isAway = true;
      return away();
    },
    current: () => (isAway ? away() : memory.current()),
  }));
  await t.throwsAsync(push(lost.store, setWith("a"), Date.now), {
    message: 'nats is away: timeout: whether the policies changed is not known, "weir versions" shows which hold',
  });
});

test("a push holds also where what is not kept any more cannot be dropped, and says so", async (t) => {
  const { store, sets } = storeWith(() => ({ dropSet: away }));
  for (let i = 0; i < 21; i++) t.is((await push(store, setWith(`${i}`), Date.now)).litter, undefined);
  const set = setWith("last");
  const { version, litter } = await push(store, set, Date.now);
  t.is(version, set.version);
  t.is(litter, "nats is away: timeout");
  t.is(sets.size, 22);
});

test("where what is stored names no set, nothing is pushed, and it is said what can be done", async (t) => {
  for (const stored of ["garbage", '{"version":5}', ""]) {
    const bytes = Buffer.from(stored);
    const { store } = storeWith(() => ({ current: async () => ({ bytes, revision: 1 }) }));
    await t.throwsAsync(push(store, setWith("a"), Date.now), {
      code: "WEIR_PUSH",
      message: 'what is stored as "current" names no policy set: delete that key of the store, and push again',
    });
  }
});

test("a rollback that leads nowhere says which sets are kept", async (t) => {
  const { store } = storeWith();
  const back = (to?: string) => rollback(store, to, Date.now);
  await t.throwsAsync(back(), { code: "WEIR_PUSH", message: "no policies were pushed yet" });
  const { version: first } = await push(store, setWith("first"), Date.now);
  await t.throwsAsync(back(), { message: `there is no set before ${first}, which holds` });
  const { version: second } = await push(store, setWith("second"), Date.now);
  await t.throwsAsync(back(second), { message: `${second} holds already; kept are ${first}` });
  await t.throwsAsync(back("abc"), { message: `abc is none of the sets that are kept: ${first}` });
  t.is((await back()).version, first);
});
