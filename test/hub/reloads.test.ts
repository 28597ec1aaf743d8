import test from "ava";
import { createReloads } from "../../src/hub/reloads.ts";
import type { Loaded, Problem } from "../../src/policy/index.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import { compiled, logLines, recorder } from "../runtime/world.ts";
import { controlled } from "../wire/grpc/harness.ts";

const policy = (name: string) => `policy: ${name}\ncheck: [{ name: r, deny: aborted }]`;

/** Reloads over loads that the test answers, one after the other. */
async function setUp(activate: (next: Snapshot) => readonly Problem[] = () => []) {
  const loads: ReturnType<typeof controlled<Loaded>>[] = [];
  const first = await compiled(policy("first"));
  const reloaded: string[] = [];
  const { log, lines } = logLines();
  const { observer } = recorder();
  const reloads = createReloads({
    first,
    policies: {
      load() {
        const load = controlled<Loaded>();
        loads.push(load);
        return load.promise;
      },
      shown: (problems) => problems.map(({ message }) => message),
      accepted: () => Promise.resolve(),
      refused: () => undefined,
    },
    activate: (next) => Promise.resolve(activate(next)),
    refreshCredentials: () => Promise.resolve(),
    observer: { ...observer, reload: (ok, version) => reloaded.push(`${ok} ${version}`) },
    log,
    now: () => 0,
  });
  const loaded = async (name: string, config?: string): Promise<Loaded> => ({
    snapshot: await compiled(policy(name), [], config),
    warnings: [],
    files: [],
    config: undefined,
  });
  return { reloads, loads, first, loaded, reloaded, lines };
}

const turns = () => new Promise((done) => setImmediate(done));

test("a reload waits for the one before it, so that the files as they are last serve", async (t) => {
  const { reloads, loads, loaded, reloaded } = await setUp();
  const [one, two] = [reloads.reload("one"), reloads.reload("two")];
  await turns();
  t.is(loads.length, 1);
  loads[0]!.resolve(await loaded("one"));
  t.deepEqual(await one, []);
  await turns();
  t.is(loads.length, 2);
  const last = await loaded("two");
  loads[1]!.resolve(last);
  t.deepEqual(await two, []);
  t.is(reloads.snapshot, (last as { snapshot: Snapshot }).snapshot);
  t.is(reloaded.length, 2);
  t.is(reloaded[1], `true ${reloads.snapshot.version}`);
});

test("a reload that is refused, or fails, changes nothing, is counted, and the next one has its turn", async (t) => {
  const problem = { message: "no connection", severity: "error", file: "weir.yaml", line: 1, column: 1 } as Problem;
  const { reloads, loads, first, loaded, reloaded } = await setUp(() => [problem]);
  const refused = reloads.reload("refused");
  await turns();
  loads[0]!.resolve(await loaded("one"));
  t.deepEqual(await refused, [problem]);
  t.is(reloads.snapshot, first);
  t.like(reloads.last(), { ok: false, problems: ["no connection"] });
  t.deepEqual(reloaded, [`false ${first.version}`]);
  const failed = reloads.reload("failed");
  await turns();
  loads[1]!.reject(new Error("EMFILE"));
  await t.throwsAsync(failed);
  await turns();
  t.is(reloads.snapshot, first);
  t.like(reloads.last(), { ok: false, problems: ["the reload failed within the hub, whose log says why"] });
  t.is(reloaded.length, 2);
  t.false(JSON.stringify(reloads.last()).includes("EMFILE"), "what went wrong within is for the log");
  void reloads.reload("next");
  await turns();
  t.is(loads.length, 3);
});

test("once stopped, nothing is loaded any more, not even what waited for its turn", async (t) => {
  const { reloads, loads, loaded } = await setUp();
  const under = reloads.reload("under way");
  const waits = reloads.reload("waits");
  await turns();
  reloads.stop();
  loads[0]!.resolve(await loaded("one"));
  await under;
  t.deepEqual(await waits, []);
  t.deepEqual(await reloads.reload("late"), []);
  t.is(loads.length, 1);
});

const begun: readonly (readonly [config: string, told: string | undefined])[] = [
  ["limits: { message: 2MiB }", "addresses, tls or limits of listeners changed"],
  ["limits: { streams: 9 }", "addresses, tls or limits of listeners changed"],
  ["listen: { http: 127.0.0.1:1 }", "addresses, tls or limits of listeners changed"],
  ["telemetry: { buffer: disk, ledger: none }", "telemetry.buffer changed"],
  ["telemetry: { ledger: ledger }", "telemetry.ledger changed"],
  ["limits: { cost: 700 }", undefined],
];

for (const [config, told] of begun) {
  test(`a reload to ${config} ${told === undefined ? "holds at once" : "says that it waits for the next start"}`, async (t) => {
    const { reloads, loads, loaded, lines } = await setUp();
    const reloading = reloads.reload("config");
    await turns();
    loads[0]!.resolve(await loaded("first", config));
    t.deepEqual(await reloading, []);
    const warnings = lines.filter(({ level }) => level === "warn").map(({ message }) => message);
    t.is(warnings.length, told === undefined ? 0 : 1, warnings.join("\n"));
    if (told !== undefined)
      t.true(warnings[0]!.startsWith(told) && warnings[0]!.includes("started again"), warnings[0]);
  });
}
