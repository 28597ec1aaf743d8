import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { LedgerFile, maxContentBytes } from "../../src/telemetry/ledger/ledger-file.ts";
import { decodeState, encodeState, sums, type LedgerState } from "../../src/telemetry/ledger/ledger-state.ts";
import { ledgerMs, openLedger, type Ledger } from "../../src/telemetry/ledger/ledger.ts";
import type { AtRisk, Risk } from "../../src/telemetry/ledger/risk.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { FakeClock, fakeLog, FakeObserver } from "./fakes.ts";

function pathOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-ledger-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state", "ledger");
}

const risk = (what: AtRisk, adapter: string, unsafe: number): Risk => ({ what, adapter, unsafe });

/** A process with a ledger. It ends when it is closed, or without a word when nobody looks at it any more. */
async function started(t: ExecutionContext, path: string) {
  const clock = new FakeClock();
  const observer = new FakeObserver();
  const log = fakeLog();
  const { lines } = log;
  const state = { risks: [] as readonly Risk[] };
  const ledger = await openLedger({ path, risks: () => state.risks, observer, log, now: clock.now, timers: clock });
  t.teardown(() => ledger.close([]));
  return {
    ...{ clock, observer, lines, ledger },
    /** Has these at risk from now on, and the ledger say so. */
    async has(...risks: readonly Risk[]) {
      const before = contentOf(path);
      state.risks = risks;
      await clock.advance(ledgerMs);
      while (contentOf(path).equals(before)) await setImmediate();
      while (clock.pending === 0) await setImmediate();
    },
    set: (...risks: readonly Risk[]) => void (state.risks = risks),
    /** Lets the next attempt come, and end. */
    async tick(ms: number) {
      await clock.advance(ms);
      while (clock.pending === 0) await setImmediate();
    },
  };
}

function contentOf(path: string): Buffer {
  return existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
}

/** What was lost, of that which is not nothing. */
function lost(ledger: Ledger): string[] {
  const amounts = (ledger.view().past?.lost ?? []).filter(({ count }) => count > 0);
  return amounts.map(({ end, what, adapter, count }) => `${end} ${what} ${adapter} ${count}`).sort();
}

test("what a process had at risk is counted when it was killed, once, over any number of processes", async (t) => {
  const path = pathOf(t);
  const first = await started(t, path);
  t.is(first.ledger.view().before, undefined);
  await first.has(risk("log_entry", "out", 7), risk("record", "", 0), risk("scraped_sample", "prometheus", 30));
  await first.has(risk("log_entry", "out", 2), risk("scraped_sample", "prometheus", 40));

  const second = await started(t, path);
  t.deepEqual(lost(second.ledger), ["killed log_entry out 2", "killed scraped_sample prometheus 40"]);
  const before = second.ledger.view().before!;
  t.is(before.end, "killed");
  t.deepEqual(before.lost, [
    { what: "log_entry", adapter: "out", count: 2 },
    { what: "scraped_sample", adapter: "prometheus", count: 40 },
  ]);
  t.is(before.writtenMs, 1_000_000 + 2 * ledgerMs);
  t.true(
    second.lines.some((line) => line.includes("was killed or crashed")),
    second.lines.join("\n"),
  );

  // It is killed before it had anything, and the next one with something.
  const third = await started(t, path);
  t.deepEqual(lost(third.ledger), lost(second.ledger));
  await third.has(risk("scraped_sample", "prometheus", 1), risk("span", "traces", 5));
  const { ledger } = await started(t, path);
  t.deepEqual(lost(ledger), ["killed log_entry out 2", "killed scraped_sample prometheus 41", "killed span traces 5"]);
  t.deepEqual(ledger.view().past?.ends, { killed: 3, stopped: 0 });
});

test("a process that ends in order has lost what is left in its places then", async (t) => {
  const path = pathOf(t);
  const first = await started(t, path);
  await first.has(risk("log_entry", "out", 7));
  await first.ledger.close([]);
  t.is(first.clock.pending, 0);
  const second = await started(t, path);
  t.deepEqual(lost(second.ledger), []);
  t.deepEqual(second.ledger.view().past?.ends, { killed: 0, stopped: 1 });
  await second.ledger.close([risk("scraped_sample", "prometheus", 3), risk("scraped_sample", "prometheus", 4)]);
  t.false(existsSync(`${path}.lock`));
  const third = await started(t, path);
  t.deepEqual(lost(third.ledger), ["stopped scraped_sample prometheus 7"]);
  t.is(third.ledger.view().before?.end, "stopped");
});

test("what is at risk and was never lost is there with nothing, so that an alert can rest on it", async (t) => {
  const { ledger, set } = await started(t, pathOf(t));
  set(risk("span", "traces", 9));
  t.deepEqual(ledger.view().past!.lost, [
    { end: "killed", what: "span", adapter: "traces", count: 0 },
    { end: "stopped", what: "span", adapter: "traces", count: 0 },
  ]);
});

test("samples that a buffer brings again are not told of as lost", async (t) => {
  const path = pathOf(t);
  const first = await started(t, path);
  await first.has(risk("repeated_sample", "otlp", 7));
  const second = await started(t, path);
  t.deepEqual(second.ledger.view().before?.lost, []);
  t.deepEqual(lost(second.ledger), ["killed repeated_sample otlp 7"]);
});

test("the file is written only when what it says has changed, and has the same size always", async (t) => {
  const path = pathOf(t);
  const { has, tick } = await started(t, path);
  const { size, blocks } = statSync(path);
  t.true(blocks * 512 >= size, "a disk that fills up does not matter");
  await has(risk("log_entry", "out", 7));
  const content = contentOf(path);
  for (let n = 0; n < 3; n++) await tick(ledgerMs);
  t.deepEqual(contentOf(path), content);
  await has(risk("log_entry", "out", 8));
  t.is(statSync(path).size, size);
});

test("a ledger that another process has is told of, and taken once it is free", async (t) => {
  const path = pathOf(t);
  mkdirSync(join(path, ".."));
  writeFileSync(`${path}.lock`, String(process.ppid));
  const { ledger, lines, tick } = await started(t, path);
  t.regex(ledger.view().problem!, /is in use by process/);
  t.is(ledger.view().past, undefined, "it is not known, which is not 0");
  t.false(existsSync(path));
  await tick(1000);
  t.is(lines.length, 1, "it is told once");
  rmSync(`${path}.lock`);
  while (ledger.view().problem !== undefined) await tick(1000);
  t.true(existsSync(path));
  t.regex(lines.at(-1)!, /written again/);
});

test("a file that is no ledger is left alone", async (t) => {
  const path = pathOf(t);
  mkdirSync(join(path, ".."));
  for (const text of ["policies: .\n", "x".repeat(200_000)]) {
    writeFileSync(path, text);
    const { ledger } = await started(t, path);
    t.regex(ledger.view().problem!, /is no ledger/);
    await ledger.close([risk("log_entry", "out", 1)]);
    t.is(readFileSync(path, "utf8"), text);
    t.false(existsSync(`${path}.lock`));
  }
});

test("a folder that cannot be had never stops the hub", async (t) => {
  const path = pathOf(t);
  writeFileSync(join(path, ".."), "a file");
  const { ledger } = await started(t, path);
  t.truthy(ledger.view().problem);
  await ledger.close([]);
});

test("of a write that was torn by the machine the one before it counts", async (t) => {
  const path = pathOf(t);
  const { has } = await started(t, path);
  await has(risk("log_entry", "out", 1));
  const before = contentOf(path);
  await has(risk("log_entry", "out", 2));
  const torn = contentOf(path);
  // Half of what was written last is as it was.
  const at = torn.findIndex((byte, i) => byte !== before[i]);
  before.copy(torn, at + 100, at + 100);
  writeFileSync(path, torn);
  t.deepEqual(lost((await started(t, path)).ledger), ["killed log_entry out 1"]);
});

test("a ledger of which nothing can be read is counted, and written anew", async (t) => {
  const path = pathOf(t);
  const first = await started(t, path);
  await first.has(risk("log_entry", "out", 1));
  truncateSync(path, 4100);
  const { ledger, observer, has } = await started(t, path);
  t.deepEqual(observer.take(), ["dropped ledger unreadable 1"]);
  t.deepEqual(lost(ledger), []);
  await has(risk("log_entry", "out", 3));
  t.deepEqual(lost((await started(t, path)).ledger), ["killed log_entry out 3"]);
});

test("no bytes in the file stop the hub, and what is read of them is a count", async (t) => {
  const path = pathOf(t);
  const good = await started(t, path);
  await good.has(risk("log_entry", "out", 1), risk("span", "traces", 2));
  const whole = `${path}.whole`;
  copyFileSync(path, whole);
  const { size } = statSync(whole);
  const change = fc.record({ at: fc.nat(size - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.option(fc.nat(size)), async (changes, length) => {
      copyFileSync(whole, path);
      const bytes = readFileSync(path);
      // Most of the file is empty: half of the changes are where something is.
      for (const [i, { at, bytes: changed }] of changes.entries())
        bytes.set(changed.subarray(0, size - at), i % 2 === 0 ? at : Math.min(at % 600, size - changed.length) + 4096);
      writeFileSync(path, length === null ? bytes : bytes.subarray(0, length));
      const { ledger } = await started(t, path);
      const counted = lost(ledger);
      t.true(counted.every((line) => /^killed (log_entry out 1|span traces 2)$/.test(line)));
      await ledger.close([]);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

const amount = fc.record({ what: fc.string({ maxLength: 20 }), adapter: fc.string(), count: fc.nat() });
const lostAmount = fc.record({
  end: fc.constantFrom("killed", "stopped"),
  ...{ what: fc.string({ maxLength: 20 }), adapter: fc.string(), count: fc.nat() },
});
const states: fc.Arbitrary<LedgerState> = fc.record({
  startedMs: fc.nat(),
  writtenMs: fc.nat(),
  hasStopped: fc.boolean(),
  atRisk: fc.array(amount),
  lost: fc.array(lostAmount),
  ends: fc.record({ killed: fc.nat(), stopped: fc.nat() }),
});

test("a state is read as it was written, and nothing else is read as one", (t) => {
  fc.assert(
    fc.property(states, (state) => {
      t.deepEqual(decodeState(encodeState(state, 1e6)), state);
    }),
    { numRuns: fuzzRuns(100) },
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      t.is(decodeState(Buffer.from(JSON.stringify(value))), undefined);
    }),
    { numRuns: fuzzRuns(100) },
  );
  const one = JSON.parse(encodeState(fc.sample(states, 1)[0]!, 1e6).toString()) as Record<string, unknown>;
  for (const [key, bad] of [
    ["v", 2],
    ["startedMs", -1],
    ["writtenMs", 1.5],
    ["hasStopped", 1],
    ["atRisk", [{ what: "x", adapter: "y", count: -1 }]],
    ["lost", [{ what: "x", adapter: "y", count: 1, end: "unknown" }]],
    ["ends", { killed: 1 }],
  ] as const)
    t.is(decodeState(Buffer.from(JSON.stringify({ ...one, [key]: bad }))), undefined, key);
});

test("of more adapters than there is room for the sums are kept", async (t) => {
  const path = pathOf(t);
  const first = await started(t, path);
  const many = Array.from({ length: 400 }, (_, n) => risk("log_entry", `${"\u0000".repeat(100)}${n}`, 1));
  await first.has(...many, risk("span", "traces", 2));
  t.deepEqual(lost((await started(t, path)).ledger), ["killed log_entry other 400", "killed span other 2"]);
});

test("a content of the most bytes is kept", async (t) => {
  const path = pathOf(t);
  mkdirSync(join(path, ".."));
  const opened = await LedgerFile.open(path);
  t.is(opened.content, undefined);
  t.false(opened.isBroken);
  for (let n = 1; n < 4; n++) await opened.file.write(Buffer.alloc(maxContentBytes, n));
  await opened.file.close();
  const again = await LedgerFile.open(path);
  t.deepEqual(Buffer.from(again.content!), Buffer.alloc(maxContentBytes, 3));
  await again.file.close();
});

test("amounts of the same are one", (t) => {
  t.deepEqual(
    sums([
      { what: "span", adapter: "a", count: 1 },
      { what: "span", adapter: "b", count: 2 },
      { what: "span", adapter: "a", count: 4 },
    ]),
    [
      { what: "span", adapter: "a", count: 5 },
      { what: "span", adapter: "b", count: 2 },
    ],
  );
});
