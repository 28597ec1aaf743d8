import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import table from "./index.ts";
import { readRows, type Mistake } from "./rows.ts";

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), "weir-table-"));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const shared = mkdtempSync(join(tmpdir(), "weir-table-"));
test.after.always(() => rmSync(shared, { recursive: true, force: true }));
writeFileSync(join(shared, "plans.txt"), "acme: 1000/s\n");
testAdapter(test, table, {
  config: { file: join(shared, "plans.txt") },
  refusedConfigs: [
    {},
    { file: "" },
    { file: "a", refresh: "1ms" },
    { file: "a", refresh: "soon" },
    { file: "a", maxRows: 0 },
  ],
});

function told(file: string, mistakes: readonly Mistake[]): string[] {
  return mistakes.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
}

test("a line is a key and its limit, with a burst behind it", async (t) => {
  const { rows, mistakes } = await readRows(
    "plans.txt",
    `# plans
acme: 1000/s 2000
spiffe://mesh/ns/a: 50/m
  two words :  7/h   # a remark
"quoted: \\"key\\"": 5/day\r

"#": 1/s
jobs: 8
`,
    100,
  );
  t.deepEqual(mistakes, []);
  t.deepEqual(Object.fromEntries(rows), {
    acme: { amount: 1000, windowMs: 1000, burst: 2000 },
    "spiffe://mesh/ns/a": { amount: 50, windowMs: 60_000 },
    "  two words": { amount: 7, windowMs: 3_600_000 },
    'quoted: "key"': { amount: 5, windowMs: 86_400_000, calendar: "day" },
    "#": { amount: 1, windowMs: 1000 },
    jobs: { amount: 8, windowMs: 0 },
  });
});

test("a file of comma-separated values has a row a line, with or without a head", async (t) => {
  const { rows, mistakes } = await readRows(
    "plans.csv",
    `key,limit,burst\r\nacme,1000/s,2000\r\n"a, ""b""",5/m,\r\nplain,9/h\r\n`,
    100,
  );
  t.deepEqual(mistakes, []);
  t.deepEqual([...rows.keys()], ["acme", 'a, "b"', "plain"]);
  t.deepEqual(rows.get("acme"), { amount: 1000, windowMs: 1000, burst: 2000 });
});

test("rows that say the same share one object", async (t) => {
  const { rows } = await readRows("a.txt", "a: 5/s\nb: 5/s\nc: 5/s 9\n", 10);
  t.is(rows.get("a"), rows.get("b"));
  t.not(rows.get("a"), rows.get("c"));
});

test("what is wrong is told with file, line and column", async (t) => {
  const { mistakes } = await readRows(
    "a.txt",
    'fine: 5/s\nno rate\na: 5 per second\nb: 0/s\nc: -5/s\nd: 1.5/s\ne: 5/0s\nf: 5/s 0\nfine: 6/s\n"open: 5/s\ng: 99999999999999/s\nh: 5/400d\n',
    100,
  );
  t.deepEqual(told("a.txt", mistakes), [
    "a.txt:2:1: expected KEY: RATE, such as acme: 1000/s",
    'a.txt:3:4: expected a rate such as 500/s, 10/m, 1000/h, 1/d, 100/10s or 1000/month, got "5 per second"',
    "a.txt:4:4: a limit allows at least 1 unit; this one allows 0",
    "a.txt:5:4: a limit allows at least 1 unit; this one allows -5",
    "a.txt:6:4: expected a rate such as 500/s, 10/m, 1000/h, 1/d, 100/10s or 1000/month, got a fraction",
    "a.txt:7:4: a window is longer than nothing",
    "a.txt:8:4: expected a burst of 1 to 1000000000000, got 0",
    'a.txt:9:1: the key "fine" has a row already',
    "a.txt:11:4: a limit allows at most 1000000000000 units",
    "a.txt:12:4: a window is at most 366 days long",
  ]);
  t.regex(told("a.csv", (await readRows("a.csv", "x;5/s", 10)).mistakes)[0]!, /^a\.csv:1:1: expected KEY,RATE/);
  t.deepEqual(told("a.txt", (await readRows("a.txt", "a: 1/s\nb: 1/s\nc: 1/s\nd: 1/s", 2)).mistakes), [
    "a.txt:3:1: there are more than 2 rows",
  ]);
  t.is((await readRows("a.txt", "x\n".repeat(1000), 10)).mistakes.length, 20);
});

test("no text makes reading fail, and what is read is a limit", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.constantFrom("a.txt", "a.csv"), async (text, file) => {
      const { rows } = await readRows(file, `${text}\nk: 5/s\nk,5/s`, 100);
      for (const row of rows.values()) if (!(row.amount >= 1 && row.windowMs >= 0)) return false;
      return true;
    }),
  );
  t.pass();
});

test("a changed file is taken up, a wrong one is not, and one that is gone leaves what was", async (t) => {
  const host = fakeHost({ folder: folder(t) });
  const path = join(host.folder, "plans.txt");
  const replace = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  writeFileSync(path, "acme: 5/s\n");
  const instance = await makeInstance(table, { file: "plans.txt", refresh: "1s" }, host);
  const amount = () => instance.table("acme")?.amount;
  t.is(amount(), 5);
  t.is(instance.table("nobody"), undefined);
  replace("acme: 50/s\nother: 1/s\n");
  await host.advance(1000);
  t.is(amount(), 50);
  replace("acme: 500/s\nother: 1 per second\n");
  for (let i = 0; i < 3; i++) await host.advance(1000);
  t.is(amount(), 50);
  t.is(host.events.get("table_refused"), 1);
  const [told] = host.logs.filter(({ level }) => level === "error");
  t.regex(String((told!.fields as { err: Error }).err.message), /^plans\.txt:2:8: expected a rate/);
  rmSync(path);
  for (let i = 0; i < 3; i++) await host.advance(1000);
  t.is(amount(), 50);
  t.is(host.events.get("table_refused"), 2);
  replace("acme: 7/s\n");
  await host.advance(1000);
  t.is(amount(), 7);
});

test("a table that is wrong at the start is refused, with every place", async (t) => {
  const host = fakeHost({ folder: folder(t) });
  writeFileSync(join(host.folder, "plans.txt"), "a: x\nb: y\n");
  await t.throwsAsync(makeInstance(table, { file: "plans.txt" }, host), {
    message: /^plans\.txt:1:4: expected a rate .*; plans\.txt:2:4: expected a rate/,
  });
  await t.throwsAsync(makeInstance(table, { file: "none.txt" }, host), { message: /ENOENT/ });
  writeFileSync(join(host.folder, "latin.txt"), Buffer.from([0x61, 0xff, 0x0a]));
  await t.throwsAsync(makeInstance(table, { file: "latin.txt" }, host), { message: "latin.txt is not UTF-8 text" });
});

test("a file that is wrong or away is told before an instance is made", async (t) => {
  const made = folder(t);
  const config = { file: "plans.txt", refresh: 2000, maxRows: 100 };
  const [away] = await table.inspect!(config, made);
  t.deepEqual(away!.path, ["file"]);
  t.regex(away!.message, /^the table could not be read: ENOENT/);
  writeFileSync(join(made, "plans.txt"), "acme: 5/s\nother: 1 per second\n");
  const [wrong] = await table.inspect!(config, made);
  t.deepEqual(wrong!.at, {
    file: join(made, "plans.txt"),
    line: 2,
    column: 8,
    length: 12,
    text: "other: 1 per second",
  });
  writeFileSync(join(made, "plans.txt"), "acme: 5/s\n");
  t.deepEqual(await table.inspect!(config, made), []);
});
