import { randomBytes } from "node:crypto";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import test, { type ExecutionContext } from "ava";
import { natsConfig } from "../../adapters/nats/config.ts";
import { openPolicyStore } from "../../adapters/nats/policy-store.ts";
import { preview } from "../../src/policy/pushed/preview.ts";
import { push, rollback } from "../../src/policy/pushed/pushing.ts";
import { setOf, type PushedSet } from "../../src/policy/pushed/pushed-set.ts";
import { pushedVersions } from "../../src/policy/pushed/versions.ts";
import type { HubSaid, PolicyStore } from "../../src/sdk/index.ts";
import { WeirError } from "../../src/util/weir-error.ts";
import { until } from "../e2e/clients.ts";
import { notRun } from "../e2e/programs.ts";
import { startNats, type NatsServer } from "./nats-server.ts";

// A test runner takes tests only before the first wait.
const server = await startNats();

/** The store of a bucket, as the command line opens it. */
async function storeOn(t: ExecutionContext, nats: NatsServer, bucket: string): Promise<PolicyStore> {
  const config = natsConfig.parse({ servers: nats.url, policies: { bucket } });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const store = await openPolicyStore(config, { name: "nats", folder: ".", log, changed() {} });
  t.teardown(() => store.close());
  return store;
}

const setWith = (text: string): PushedSet => setOf([{ path: "a.yaml", text }]);
const { now } = Date;
const monotonic = (): number => performance.now();

async function versionsIn(store: PolicyStore): Promise<readonly string[]> {
  return (await pushedVersions(store, monotonic)).versions.map(({ version }) => version);
}

/** A set that compression does not make smaller. */
const large = (bytes: number): PushedSet => setWith(randomBytes(bytes).toString("base64"));

if ("gap" in server) {
  test("policies are pushed to a bucket", (t) => notRun(t, server));
} else {
  test.after.always(() => server.dispose());

  test("of pushes at the same time those that were in time are all there, and the others say so", async (t) => {
    const store = await storeOn(t, server, "RACE");
    const before = await push(store, setWith("before"), now);
    const stores = await Promise.all(Array.from({ length: 8 }, () => storeOn(t, server, "RACE")));
    const outcomes = await Promise.all(
      stores.map((each, i) => push(each, setWith(`push ${i}`), now).catch((error: unknown) => error)),
    );
    const inTime: string[] = [];
    for (const outcome of outcomes) {
      if (!(outcome instanceof Error)) inTime.push((outcome as { readonly version: string }).version);
      else if (!(outcome instanceof WeirError && outcome.code === "WEIR_PUSH" && /somebody else/.test(outcome.message)))
        throw outcome;
    }
    t.true(inTime.length > 0);
    const versions = await versionsIn(store);
    t.is(versions.at(-1), before.version);
    t.deepEqual([...versions].sort(), [before.version, ...inTime].sort());
    for (const version of versions) t.not(await store.set(version), undefined);
  });

  test("a push changes nothing when another came between its look and its change, and goes when it looks again", async (t) => {
    const [one, other] = [await storeOn(t, server, "BETWEEN"), await storeOn(t, server, "BETWEEN")];
    const [late, early] = [setWith("late"), setWith("early")];
    await push(one, setWith("first"), now);
    const overtaken: PolicyStore = {
      ...one,
      async putSet(version, bytes) {
        await push(other, early, now);
        await one.putSet(version, bytes);
      },
    };
    const error = await t.throwsAsync(push(overtaken, late, now), { instanceOf: WeirError });
    t.regex(error!.message, /somebody else/);
    t.is((await versionsIn(one))[0], early.version);
    await push(one, late, now);
    t.deepEqual((await versionsIn(other)).slice(0, 2), [late.version, early.version]);
  });

  test("a rollback changes nothing when a push came between", async (t) => {
    const [one, other] = [await storeOn(t, server, "BACK"), await storeOn(t, server, "BACK")];
    await push(one, setWith("first"), now);
    await push(one, setWith("second"), now);
    const overtaken: PolicyStore = {
      ...one,
      async replace(bytes, revision) {
        await push(other, setWith("third"), now);
        return one.replace(bytes, revision);
      },
    };
    await t.throwsAsync(rollback(overtaken, undefined, now), { instanceOf: WeirError, message: /somebody else/ });
    t.deepEqual(
      await versionsIn(one),
      ["third", "second", "first"].map((text) => setWith(text).version),
    );
    for (const version of await versionsIn(one)) t.not(await one.set(version), undefined);
  });

  test("a set that is larger than a message of the server is not pushed, and a look says the same", async (t) => {
    const store = await storeOn(t, server, "LARGE");
    const good = await push(store, setWith("good"), now);
    const set = large(1_200_000);
    const expected = { instanceOf: WeirError, message: /are \d{7} bytes compressed; the store takes 1044480/ };
    await t.throwsAsync(push(store, set, now), expected);
    await t.throwsAsync(preview(store, set), expected);
    t.deepEqual(await versionsIn(store), [good.version]);
    t.is(await store.set(set.version), undefined);
  });

  for (const [what, limit] of [
    ["a set that is larger than the bucket", { max_bytes: 20_000 }],
    ["a set that is larger than a value of the bucket", { maxValueSize: 10_000 }],
  ] as const) {
    test(`${what} is refused by the server, and what holds goes on holding`, async (t) => {
      const bucket = `FULL_${Object.keys(limit)[0]!}`;
      const nats = await connect({ servers: server.url });
      t.teardown(() => nats.close());
      await new Kvm(nats).create(bucket, limit);
      const store = await storeOn(t, server, bucket);
      const good = await push(store, setWith("good"), now);
      await t.throwsAsync(push(store, large(40_000), now), { message: /maximum/ });
      t.deepEqual(await versionsIn(store), [good.version]);
      const small = await push(store, setWith("small"), now);
      t.deepEqual(await versionsIn(store), [small.version, good.version]);
    });
  }

  test("a look tells the files that a push would add, change and remove, also where what holds is broken", async (t) => {
    const store = await storeOn(t, server, "LOOK");
    const set = setOf([
      { path: "a.yaml", text: "1" },
      { path: "b.yaml", text: "2" },
      { path: "c.yaml", text: "3" },
    ]);
    const added = set.files.map(({ path }) => ({ path, change: "added" as const }));
    t.deepEqual(await preview(store, set), { holds: undefined, files: added });
    t.deepEqual(await pushedVersions(store, monotonic), { versions: [], hubs: [] });
    const { version: holds } = await push(store, set, now);
    t.deepEqual(await preview(store, set), { holds, files: [] });
    const next = setOf([
      { path: "b.yaml", text: "other" },
      { path: "c.yaml", text: "3" },
      { path: "z/d.yaml", text: "1" },
    ]);
    t.deepEqual((await preview(store, next)).files, [
      { path: "a.yaml", change: "removed" },
      { path: "b.yaml", change: "changed" },
      { path: "z/d.yaml", change: "added" },
    ]);
    t.deepEqual(await versionsIn(store), [holds]);
    await store.putSet(holds, Buffer.from("no set"));
    t.deepEqual(await preview(store, set), { holds, files: added });
  });

  test("what hubs say is heard: first what is kept, then every word as it is said", async (t) => {
    const [store, other] = [await storeOn(t, server, "SAID"), await storeOn(t, server, "SAID")];
    const said: string[] = [];
    const hear = ({ hub, bytes }: HubSaid): void =>
      void said.push(`${hub} ${bytes === undefined ? "goes" : Buffer.from(bytes).toString()}`);
    // Nobody has made the bucket yet.
    (await store.hubs(hear))();
    t.deepEqual(said, []);
    await other.prepare();
    const names = Array.from({ length: 150 }, (_, i) => `hub-${i}`);
    await Promise.all(names.map((name) => other.tell(name, Buffer.from("old"))));
    const stop = await store.hubs(hear);
    t.deepEqual([...said].sort(), names.map((name) => `${name} old`).sort());
    said.length = 0;
    await other.tell("hub-1", Buffer.from("new"));
    await other.forget("hub-2");
    await until(() => said.length === 2);
    t.deepEqual(said, ["hub-1 new", "hub-2 goes"]);
    stop();
    await other.tell("hub-1", Buffer.from("newer"));
    said.length = 0;
    (await store.hubs(hear))();
    t.is(said.length, 149);
    t.true(said.includes("hub-1 newer"));
  });
}
