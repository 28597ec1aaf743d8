import test from "ava";
import fc from "fast-check";
import { summaryOf } from "../../src/cli/hub-lines.ts";
import { createFleet } from "../../src/policy/pushed/fleet.ts";
import { decodeWord, encodeWord, type HubWord } from "../../src/policy/pushed/hub-word.ts";
import { rollOut, type HubOutcome } from "../../src/policy/pushed/rollout.ts";
import type { HubSaid, PolicyStore } from "../../src/sdk/index.ts";
import { manualTimers } from "../wire/http2/wire.ts";

const before = "0123456789ab";
const next = "ba9876543210";

/** A word as a hub says it: under its name, in bytes. */
function said(hub: string, word: Partial<HubWord>, agoMs = 0): HubSaid {
  return { hub, bytes: encodeWord({ hub, serves: before, ...word }), agoMs };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A store of which only what a rollout uses is there, and a clock that goes when it is told to. */
function world(first: readonly HubSaid[], { deaf }: { deaf?: string } = {}) {
  let away = deaf;
  const timers = manualTimers();
  timers.nowMs = 10_000;
  const kept = new Map<string, HubSaid & { readonly atMs: number }>();
  const keep = (word: HubSaid): void => {
    if (word.bytes === undefined) kept.delete(word.hub);
    else kept.set(word.hub, { ...word, atMs: timers.nowMs - word.agoMs });
  };
  first.forEach(keep);
  const listening = new Set<(said: HubSaid) => void>();
  let asked = 0;
  const store = {
    replace: () => Promise.resolve(true),
    async hubs(heard: (said: HubSaid) => void) {
      asked++;
      if (away !== undefined) throw new Error(away);
      for (const { atMs, ...each } of kept.values()) heard({ ...each, agoMs: timers.nowMs - atMs });
      listening.add(heard);
      return () => void listening.delete(heard);
    },
  } as Partial<PolicyStore> as PolicyStore;
  const told: HubOutcome[] = [];
  return {
    timers,
    told,
    asked: () => asked,
    listening: () => listening.size,
    keep,
    lose: (reason: string) => void (away = reason),
    say(word: HubSaid) {
      keep(word);
      listening.forEach((heard) => heard(word));
    },
    start: (waitMs: number) =>
      rollOut(
        store,
        async (changed) => {
          await changed.replace(new Uint8Array(), 1);
          return { version: next, from: before, litter: undefined };
        },
        {
          waitMs,
          timers,
          monotonic: () => timers.nowMs,
          moved: () => undefined,
          told: (outcome) => told.push(outcome),
        },
      ),
  };
}

test("each hub is told as it says what it did, and the wait ends with the last of them", async (t) => {
  const { start, say, told, timers, listening } = world([
    said("a", {}, 900),
    said("b", {}),
    said("c", { serves: next }, 10),
  ]);
  const rollout = start(5000);
  await turn();
  t.deepEqual(told, [{ kind: "serves", hub: "c", afterMs: undefined }]);
  timers.pass(40);
  say(said("b", { refused: { version: next, problems: ["why"] } }));
  await turn();
  t.deepEqual(told.slice(1), [{ kind: "refused", hub: "b", afterMs: 40, serves: before, problems: ["why"] }]);
  timers.pass(5);
  say(said("new", { serves: next }));
  say(said("a", { serves: next }));
  const { hubs, deaf } = await rollout;
  t.is(deaf, undefined);
  t.deepEqual(
    hubs.map(({ hub, kind }) => `${hub} ${kind}`),
    ["a serves", "b refused", "c serves", "new serves"],
  );
  t.deepEqual(told.slice(2), [
    { kind: "serves", hub: "a", afterMs: 45 },
    { kind: "serves", hub: "new", afterMs: 45 },
  ]);
  t.is(listening(), 0);
});

test("who says nothing, or not that it serves them, is named when the time is over", async (t) => {
  const { start, say, told, timers } = world([said("hangs", {}, 3000), said("stops", {}), said("lacks", {})]);
  const rollout = start(5000);
  await turn();
  timers.pass(100);
  say(said("lacks", { lacks: "the set is not there" }));
  say({ hub: "stops", bytes: undefined, agoMs: 0 });
  timers.pass(4900);
  const { hubs } = await rollout;
  t.deepEqual(hubs, [
    { kind: "silent", hub: "hangs", serves: before, silentMs: 8000 },
    { kind: "waits", hub: "lacks", serves: before, reason: "the set is not there" },
    { kind: "left", hub: "stops" },
  ]);
  t.deepEqual(
    told.map(({ hub }) => hub),
    ["stops", "hangs", "lacks"],
  );
});

test("a word that was not heard and was kept counts", async (t) => {
  const { start, keep, timers } = world([said("a", {})]);
  const rollout = start(1000);
  await turn();
  timers.pass(1000);
  keep(said("a", { serves: next }));
  const { hubs } = await rollout;
  t.deepEqual(hubs, [{ kind: "serves", hub: "a", afterMs: 1000 }]);
});

test("a hub that refused a version and was mended meanwhile serves it in the end", async (t) => {
  const { start, say, told } = world([said("a", {}), said("b", {})]);
  const rollout = start(1000);
  await turn();
  say(said("a", { refused: { version: next, problems: [] } }));
  await turn();
  say(said("a", { serves: next }));
  say(said("b", { serves: next }));
  const { hubs } = await rollout;
  t.deepEqual(
    hubs.map(({ kind }) => kind),
    ["serves", "serves"],
  );
  t.deepEqual(
    told.map(({ hub, kind }) => `${hub} ${kind}`),
    ["a refused", "a serves", "b serves"],
  );
});

test("the change is made also where hubs cannot be heard, and nobody listens where nobody waits", async (t) => {
  const mute = world([], { deaf: "not allowed" });
  const rollout = await mute.start(1000);
  t.is(rollout.moved.version, next);
  t.is(rollout.deaf, "not allowed");
  const hasty = world([said("a", {})]);
  t.deepEqual((await hasty.start(0)).hubs, []);
  t.is(hasty.asked(), 0);
});

test("who pushes and lost the store says that it could not hear, and blames no hub alone", async (t) => {
  const { start, timers, lose } = world([said("a", {}, 3000)]);
  const rollout = start(1000);
  await turn();
  lose("nats is away");
  timers.pass(1000);
  const { hubs, deaf } = await rollout;
  t.is(deaf, "nats is away");
  const { line, isWhole } = summaryOf({ moved: { version: next, from: before, litter: undefined }, hubs, deaf });
  t.is(line, "0 hubs serve them; 1 silent: a; at the end what the hubs do could not be heard: nats is away\n");
  t.false(isWhole);
});

test("a line that sums up names no more hubs than can be read", (t) => {
  const hubs = Array.from({ length: 25 }, (_, i) => ({ hub: `h${i}`, kind: "left" as const }));
  const { line } = summaryOf({ moved: { version: next, from: before, litter: undefined }, hubs, deaf: undefined });
  t.is(
    line,
    `0 hubs serve them; 25 stopped: ${hubs
      .slice(0, 20)
      .map(({ hub }) => hub)
      .join(", ")} and 5 more\n`,
  );
});

test("what is no word of the hub under whose name it is said is left out", (t) => {
  const fleet = createFleet(() => 0);
  const good = encodeWord({ hub: "a", serves: before });
  for (const bytes of [
    Buffer.from("{"),
    Buffer.from(JSON.stringify({ hub: "a", serves: "\u001b[2J" })),
    Buffer.from(JSON.stringify({ hub: "a", serves: before, refused: { version: "none", problems: [] } })),
    Buffer.from(JSON.stringify({ hub: "a", serves: before, more: "x".repeat(300_000) })),
    encodeWord({ hub: "b", serves: before }),
    undefined,
  ])
    fleet.hear({ hub: "a", bytes, agoMs: 0 });
  fleet.hear({ hub: "\u001b[2J", bytes: encodeWord({ hub: "\u001b[2J", serves: before }), agoMs: 0 });
  t.deepEqual(fleet.hubs(), []);
  for (let i = 0; i < 10_050; i++) fleet.hear(said(`hub-${i}`, {}));
  fleet.hear({ hub: "a", bytes: good, agoMs: 0 });
  t.is(fleet.hubs().length, 10_000);
});

test("of very many reasons for a refusal no more is kept than fits, and room that a hub gives back is used again", (t) => {
  const fleet = createFleet(() => 0);
  const refused = { version: next, problems: Array.from({ length: 10 }, () => "x".repeat(4000)) };
  for (let i = 0; i < 250; i++) fleet.hear(said(`hub-${100 + i}`, { refused }));
  const reasons = () => fleet.hubs().map(({ word }) => word!.refused?.problems.length);
  t.is(fleet.hubs().length, 250);
  t.is(reasons().filter((count) => count === 10).length, 209);
  t.is(reasons().at(-1), 0);
  fleet.hear(said("hub-100", {}));
  fleet.hear(said("hub-349", { refused }));
  t.is(reasons().at(-1), 10);
});

test("no word steers the terminal of who reads it, and what hubs say is read again as it was", (t) => {
  const texts = fc.string({ unit: "binary", maxLength: 60 });
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 12 }), texts, fc.nat(), (problems, lacks, tookMs) => {
      const word = decodeWord(
        encodeWord({ hub: "a-1", serves: before, tookMs, lacks, refused: { version: next, problems } }),
        "a-1",
      );
      const shown = [word!.lacks!, ...word!.refused!.problems];
      return (
        word!.tookMs === tookMs &&
        word!.refused!.problems.length === Math.min(10, problems.length) &&
        !word!.lacks!.includes("\n") &&
        shown.every((text) => !/[^\P{Cc}\n]|[\u2028-\u202e\u2066-\u2069]/u.test(text))
      );
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeWord(bytes, "a") === undefined));
  t.pass();
});
