import test from "ava";
import fc from "fast-check";
import type { LogEntry } from "../../src/sdk/index.ts";
import { batchEntries, batchTargets, BatchWriter, type Batch } from "../../src/telemetry/buffer/batch.ts";
import { logEntries, spans } from "../../src/telemetry/queues/cargo.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

function writerOf(maxBytes: number) {
  let id = 0;
  const tooLarge: string[] = [];
  const writer = new BatchWriter({
    maxBytes,
    nextId: () => `call-${id++}`,
    onTooLarge: (what) => void tooLarge.push(what),
  });
  return { writer, tooLarge };
}

const entriesOf = (batches: readonly Batch[], adapter: string): LogEntry[] =>
  batches.flatMap(({ bytes }) => batchEntries(bytes, adapter, logEntries));

const withoutId = (entries: readonly LogEntry[]): Omit<LogEntry, "id">[] =>
  entries.map(({ name, timeMs, severity, fields }) => ({ name, timeMs, severity, fields }));

const fieldName = fc.oneof(fc.constantFrom("path", "code", "__proto__", "constructor", "0", "1"), fc.string());
const entry: fc.Arbitrary<LogEntry> = fc.record({
  name: fc.constantFrom("access", "audit"),
  timeMs: fc.integer({ min: 0, max: 2 ** 48 }),
  severity: fc.constantFrom("debug", "info", "warning", "error"),
  // What comes back of JSON: no `-0`, which JSON does not have.
  fields: fc
    .dictionary(fieldName, fc.jsonValue({ maxDepth: 2 }))
    .map((fields) => JSON.parse(JSON.stringify(fields)) as LogEntry["fields"]),
});

test("entries come back whole and in order for each adapter, each with an id of its own, in batches that are small enough", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("a", "b"), entry), { maxLength: 40 }),
      fc.integer({ min: 300, max: 5000 }),
      (list, maxBytes) => {
        const { writer, tooLarge } = writerOf(maxBytes);
        const put = { a: writer.section("a", logEntries), b: writer.section("b", logEntries) };
        for (const [adapter, each] of list) put[adapter as "a" | "b"](each);
        const batches = writer.take();
        t.true(writer.isEmpty);
        for (const { bytes } of batches) t.true(bytes.length <= maxBytes);
        const ids = new Set<string | undefined>();
        let count = 0;
        for (const adapter of ["a", "b"]) {
          const found = entriesOf(batches, adapter);
          for (const { id } of found) ids.add(id);
          count += found.length;
          const sent = list.filter(([to]) => to === adapter).map(([, each]) => each);
          // What was too large is left out, and nothing else.
          const kept =
            tooLarge.length === 0 ? sent : sent.filter((each) => JSON.stringify(each).length < maxBytes - 150);
          if (tooLarge.length === 0) t.deepEqual(withoutId(found), kept);
          else
            for (const each of kept)
              t.true(withoutId(found).some((one) => JSON.stringify(one) === JSON.stringify(each)));
        }
        t.is(ids.size, count);
        t.is(count + tooLarge.length, list.length);
        t.is(
          batches.reduce((sum, { entries }) => sum + entries, 0),
          count,
        );
      },
    ),
    { numRuns: fuzzRuns(200) },
  );
});

test("a call of more entries than are held at once makes batches on the way, in order", (t) => {
  const { writer } = writerOf(2 ** 20);
  const put = writer.section("a", logEntries);
  for (let i = 0; i < 2500; i++) put({ name: "access", timeMs: i, severity: "info", fields: { i } });
  const batches = writer.take();
  t.is(batches.length, 3);
  t.deepEqual(
    entriesOf(batches, "a").map(({ fields }) => fields["i"]),
    Array.from({ length: 2500 }, (_, i) => i),
  );
});

test("a batch says whom it has entries for, and has none for others", (t) => {
  const { writer } = writerOf(2 ** 20);
  writer.section("b", spans);
  writer.section("a", logEntries)({ name: "access", timeMs: 1, severity: "info", fields: {} });
  const [batch] = writer.take();
  t.deepEqual(batchTargets(batch!.bytes), [["a", "logs"]]);
  t.deepEqual(batchEntries(batch!.bytes, "b", logEntries), []);
  t.deepEqual(batchEntries(batch!.bytes, "a", spans), []);
});

const head = '{"v":2,"id":"x","to":[["a","logs"]]}';
for (const [what, text] of [
  ["nothing", ""],
  ["no JSON", "{"],
  ["another version", '{"v":1,"id":"x","to":[["a","logs"]]}\n[]'],
  ["no entries", `${head}\n{}`],
  ["values without a shape", `${head}\n[[],[0,1]]`],
  ["a shape without its values", `${head}\n[[["access","info","path"]],[0,1]]`],
  ["an index that is none", `${head}\n[[["access","info"]],["length",1]]`],
] as const) {
  test(`${what} is no batch`, (t) => {
    t.throws(() => batchEntries(Buffer.from(text), "a", logEntries));
  });
}
