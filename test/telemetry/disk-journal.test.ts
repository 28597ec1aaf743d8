import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { StoredBatch } from "../../src/sdk/index.ts";
import { openDiskJournal, type DiskJournal, type DiskJournalOptions } from "../../src/telemetry/buffer/disk-journal.ts";
import { openFile } from "../../src/telemetry/buffer/segments.ts";
import { leashed } from "../e2e/leash.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const MiB = 1024 * 1024;

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-disk-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A clock and timers that stand until they are moved. */
function fakeTime() {
  let now = 1_700_000_000_000;
  const jobs = new Set<{ readonly at: number; readonly job: () => void }>();
  return {
    now: () => now,
    waits: () => jobs.size > 0,
    timers: {
      after(ms: number, job: () => void) {
        const entry = { at: now + ms, job };
        jobs.add(entry);
        return () => void jobs.delete(entry);
      },
    },
    advance(ms: number) {
      now += ms;
      for (const entry of [...jobs]) if (entry.at <= now && jobs.delete(entry)) entry.job();
    },
  };
}

function made(folder: string, options: Partial<DiskJournalOptions> = {}) {
  const time = fakeTime();
  const dropped: [string, string, number][] = [];
  const lines: string[] = [];
  const note = (_fields: object, message: string): void => void lines.push(message);
  const log = { debug: note, info: note, warn: note, error: note };
  const observer = { dropped: (what: string, reason: string, by: number) => void dropped.push([what, reason, by]) };
  const opening = openDiskJournal({
    ...{ folder, maxBytes: 64 * MiB, maxAgeMs: 3_600_000, sync: true, observer, log },
    ...{ now: time.now, timers: time.timers },
    ...options,
  });
  return { opening, time, dropped, lines };
}

async function opened(folder: string, options: Partial<DiskJournalOptions> = {}) {
  const { opening, ...rest } = made(folder, options);
  const journal = await opening;
  return { journal, ...rest };
}

const copies: string[] = [];
test.after.always(() => copies.forEach((copy) => rmSync(copy, { recursive: true, force: true })));

/** What the end of the process leaves at this moment, in another folder. */
async function crashed(journal: DiskJournal, folder: string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), "weir-disk-"));
  copies.push(copy);
  cpSync(folder, copy, { recursive: true });
  rmSync(join(copy, "lock"));
  await journal.close();
  return copy;
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const textOf = ({ bytes }: StoredBatch): string => Buffer.from(bytes).toString();

async function take(journal: DiskJournal, reader: string, count: number): Promise<StoredBatch[]> {
  const controller = new AbortController();
  const taken: StoredBatch[] = [];
  for await (const batch of journal.read(reader, controller.signal)) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `batch ${from + i}`);
const appendAll = (journal: DiskJournal, texts: readonly string[]): Promise<string[]> =>
  Promise.all(texts.map((text) => journal.append(bytesOf(text), text)));

test("each reader gets every batch, in order, from where it stopped, also after a crash", async (t) => {
  const folder = folderOf(t);
  const { journal, time } = await opened(folder);
  t.deepEqual([...new Set(await appendAll(journal, numbers(1, 10)))], ["stored"]);
  const first = await take(journal, "a", 10);
  t.deepEqual(first.map(textOf), numbers(1, 10));
  for (const batch of first.slice(0, 4)) batch.done();
  // One that is done out of order leaves those before it.
  first[8]!.done();
  time.advance(100);
  while (!readdirSync(folder).includes("readers.json")) await setImmediate();
  await take(journal, "b", 1);
  const { journal: again } = await opened(await crashed(journal, folder));
  await appendAll(again, numbers(11, 12));
  t.deepEqual((await take(again, "a", 8)).map(textOf), numbers(5, 12));
  t.deepEqual((await take(again, "b", 12)).map(textOf), numbers(1, 12));
  await again.close();
});

test("what is buffered is for this user only", async (t) => {
  const folder = join(folderOf(t), "buffer");
  const { journal } = await opened(folder);
  await appendAll(journal, ["batch"]);
  await journal.close();
  t.is(statSync(folder).mode & 0o777, 0o700);
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".wal")))
    t.is(statSync(join(folder, file)).mode & 0o777, 0o600, file);
});

test("a segment goes when every reader has done with it, and numbers go on after all are gone", async (t) => {
  const folder = folderOf(t);
  const { journal } = await opened(folder, { maxBytes: 16 * MiB });
  const text = "x".repeat(MiB);
  for (let i = 0; i < 8; i++) t.is(await journal.append(bytesOf(text), "id"), "stored");
  const segments = (): number => readdirSync(folder).filter((name) => name.endsWith(".wal")).length;
  t.true(segments() > 2);
  const [a, b] = [await take(journal, "a", 8), await take(journal, "b", 8)];
  for (const batch of a) batch.done();
  t.true(journal.state().bytes > 8 * MiB);
  for (const batch of b) batch.done();
  t.true(journal.state().bytes < 3 * MiB);
  await journal.close();
  t.is(segments(), 0);

  const { journal: again } = await opened(folder);
  await appendAll(again, ["after"]);
  t.deepEqual((await take(again, "a", 1)).map(textOf), ["after"]);
  await again.close();
});

test("a journal that is full takes nothing until a reader has done with something", async (t) => {
  const { journal } = await opened(folderOf(t), { maxBytes: 16 * MiB });
  const text = "x".repeat(MiB - 8);
  const outcomes = await appendAll(
    journal,
    Array.from({ length: 20 }, () => text),
  );
  t.deepEqual([outcomes.filter((each) => each === "stored").length, outcomes.at(-1)], [16, "full"]);
  t.is(journal.refusal(), "full");
  for (const batch of (await take(journal, "a", 16)).slice(0, 8)) batch.done();
  t.is(journal.refusal(), undefined);
  t.is(await journal.append(bytesOf(text), "id"), "stored");
  await journal.close();
});

test("a reader that is away for too long holds up nothing", async (t) => {
  const { journal, time, dropped } = await opened(folderOf(t), { maxBytes: 16 * MiB });
  const text = "x".repeat(MiB);
  for (let i = 0; i < 8; i++) await journal.append(bytesOf(text), "id");
  await take(journal, "away", 1);
  time.advance(3_600_001);
  t.deepEqual(dropped.map(([what, reason]) => [what, reason])[0], ["batch", "expired"]);
  const left = 8 - dropped.reduce((sum, [, , by]) => sum + by, 0);
  t.is((await take(journal, "away", left)).length, left);
  await journal.close();
});

test("a reader that nobody names any more holds up nothing", async (t) => {
  const folder = folderOf(t);
  const { journal } = await opened(folder);
  await appendAll(journal, numbers(1, 3));
  await take(journal, "gone", 1);
  for (const batch of await take(journal, "stays", 3)) batch.done();
  journal.forget(["stays"]);
  await journal.close();
  t.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".wal")),
    [],
  );
});

test("whatever a crash leaves of the last record, those before it are read and more can be written", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 20 }),
      fc.nat(),
      fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: undefined }),
      async (texts, cut, garbage) => {
        const folder = mkdtempSync(join(tmpdir(), "weir-disk-"));
        try {
          const { journal } = await opened(folder);
          await appendAll(journal, texts);
          const copy = await crashed(journal, folder);
          const name = readdirSync(copy).find((each) => each.endsWith(".wal"))!;
          const path = join(copy, name);
          const { size } = statSync(path);
          const ends = texts.reduce<number[]>(
            (all, text) => [...all, (all.at(-1) ?? 0) + 8 + Buffer.byteLength(text)],
            [],
          );
          t.is(size, ends.at(-1)!);
          const left = cut % (size + 1);
          truncateSync(path, left);
          if (garbage !== undefined) appendFileSync(path, garbage);
          const whole = ends.filter((end) => end <= left).length;

          const { journal: again } = await opened(copy);
          await appendAll(again, ["after"]);
          const wanted = [...texts.slice(0, whole), "after"];
          const found = (await take(again, "a", wanted.length)).map(textOf);
          t.deepEqual(
            found,
            wanted.map((text) => Buffer.from(text).toString()),
          );
          await again.close();
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: fuzzRuns(40) },
  );
});

test("a broken record costs the rest of its segment, which is counted, and nothing else", async (t) => {
  const folder = folderOf(t);
  const { journal } = await opened(folder, { maxBytes: 16 * MiB });
  const texts = numbers(1, 6).map((text) => text.padEnd(MiB, "."));
  for (const text of texts) await journal.append(bytesOf(text), "id");
  const copy = await crashed(journal, folder);
  const [first] = readdirSync(copy).filter((name) => name.endsWith(".wal"));
  const bytes = readFileSync(join(copy, first!));
  bytes[MiB + 100] = 0;
  writeFileSync(join(copy, first!), bytes);
  const { journal: again, dropped } = await opened(copy, { maxBytes: 16 * MiB });
  const taken = (await take(again, "a", 5)).map((batch) => textOf(batch).slice(0, 7));
  t.deepEqual(taken, ["batch 1", "batch 3", "batch 4", "batch 5", "batch 6"]);
  t.deepEqual(dropped, [["batch", "unreadable", 1]]);
  await again.close();
});

test("places that cannot be read let readers begin anew", async (t) => {
  const folder = folderOf(t);
  const { journal } = await opened(folder);
  await appendAll(journal, numbers(1, 3));
  (await take(journal, "a", 3))[0]!.done();
  await journal.close();
  writeFileSync(join(folder, "readers.json"), '{"a":');
  const { journal: again, lines } = await opened(folder);
  t.regex(lines.join("\n"), /begin anew/);
  t.deepEqual((await take(again, "a", 3)).map(textOf), numbers(1, 3));
  await again.close();
});

test("a folder that cannot be used is named, with what is wrong with it", async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, "file"), "");
  for (const [path, reason] of [
    ["file", "a file stands where a folder is expected"],
    ["file/within", "a file stands where a folder is expected"],
    ["x".repeat(300), "its name is too long"],
  ] as const) {
    const error = await t.throwsAsync(made(join(folder, path)).opening, { code: "WEIR_BUFFER_FOLDER" } as object);
    t.is(error.message, `the folder ${join(folder, path)} of the buffer cannot be used: ${reason}`);
  }
});

/** Moves time on until something has ended. */
async function whileWaiting(time: ReturnType<typeof fakeTime>, what: Promise<unknown>): Promise<void> {
  let ended = false;
  void what.finally(() => (ended = true));
  while (!ended) {
    await setImmediate();
    time.advance(50);
  }
}

test("two processes do not write one folder", async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, "lock"), String(process.ppid));
  const { opening, time } = made(folder);
  const refused = t.throwsAsync(opening, { code: "WEIR_BUFFER_IN_USE" } as object);
  await whileWaiting(time, refused);
  writeFileSync(join(folder, "lock"), "nonsense");
  const { journal } = await opened(folder);
  await journal.close();
  t.false(readdirSync(folder).includes("lock"));
});

test("the lock of a process counts for nothing when its number is another's by now", async (t) => {
  const folder = folderOf(t);
  const { journal } = await opened(folder);
  const [, begin] = readFileSync(join(folder, "lock"), "utf8").split(" ");
  await journal.close();
  if (process.platform !== "linux") return void t.is(begin, undefined);
  t.regex(begin!, /^[0-9a-f-]{36}-[0-9]+$/);
  // That number runs, but began at another time.
  writeFileSync(join(folder, "lock"), `${process.ppid} ${begin}`);
  const { journal: again } = await opened(folder);
  await again.close();
});

test("a process that was killed is given a moment to be gone", async (t) => {
  const folder = folderOf(t);
  const owner = spawn(...leashed("sleep", ["60"]));
  writeFileSync(join(folder, "lock"), String(owner.pid));
  const { opening, time } = made(folder);
  while (!time.waits()) await setImmediate();
  owner.kill("SIGKILL");
  await once(owner, "exit");
  await whileWaiting(time, opening);
  t.is(readFileSync(join(folder, "lock"), "utf8").split(" ")[0], String(process.pid));
  await (await opening).close();
});

if (process.platform === "linux")
  test("the lock of a process that has ended counts for nothing, though its parent has not asked for it", async (t) => {
    const folder = folderOf(t);
    // A program that knows nothing of the child that its process has.
    const script = "sleep 60 & echo $!; exec sleep 60";
    const parent = spawn(...leashed("sh", ["-c", script]), { stdio: ["ignore", "pipe", "inherit"] });
    t.teardown(() => parent.kill("SIGKILL"));
    const pid = Number(((await once(parent.stdout, "data")) as [Buffer])[0]);
    while (readFileSync(`/proc/${parent.pid}/comm`, "utf8") !== "sleep\n") await setImmediate();
    process.kill(pid, "SIGKILL");
    while (!readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")) await setImmediate();
    process.kill(pid, 0);
    writeFileSync(join(folder, "lock"), String(pid));
    const { journal, time } = await opened(folder);
    t.is(time.now(), 1_700_000_000_000);
    await journal.close();
  });

for (const [code, refusal] of [
  ["ENOSPC", "full"],
  ["EIO", "away"],
] as const) {
  for (const method of ["write", "datasync"] as const) {
    test(`a ${method} that fails with ${code} is told to its calls, and what comes after it is stored`, async (t) => {
      const folder = folderOf(t);
      let fails = false;
      const open = async (path: string, flags: string): Promise<FileHandle> => {
        const handle = await openFile(path, flags);
        const original = handle[method].bind(handle) as (...args: unknown[]) => Promise<unknown>;
        const failing = async (...args: unknown[]): Promise<unknown> => {
          if (!fails) return await original(...args);
          // Half of it is on the disk.
          if (method === "write") await original(args[0], args[1], Math.ceil((args[2] as number) / 2), args[3]);
          throw Object.assign(new Error(`${code}: it fails`), { code });
        };
        return Object.assign(handle, { [method]: failing });
      };
      const { journal, time, lines } = await opened(folder, { open });
      await appendAll(journal, numbers(1, 2));
      fails = true;
      t.deepEqual(await appendAll(journal, ["lost", "too"]), [refusal, refusal]);
      t.is(journal.refusal(), refusal);
      t.is(await journal.append(bytesOf("at once"), "id"), refusal);
      fails = false;
      time.advance(1000);
      t.is(journal.refusal(), undefined);
      await appendAll(journal, numbers(3, 4));
      t.deepEqual((await take(journal, "a", 4)).map(textOf), numbers(1, 4));
      t.is(lines.filter((line) => line.includes("could not be written")).length, 1);
      const { journal: again } = await opened(await crashed(journal, folder));
      const found = (await take(again, "b", 4)).map(textOf);
      t.deepEqual(found, numbers(1, 4));
      await again.close();
    });
  }
}

/** A disk with room for so many bytes. A file that was deleted takes its room until nobody has it open. */
function smallDisk(folder: string, capacity: number): typeof openFile {
  const files = new Map<number, { size: number; open: number }>();
  const inUse = (): number => {
    const named = new Set(readdirSync(folder).map((name) => statSync(join(folder, name)).ino));
    return [...files].reduce((sum, [ino, { size, open }]) => sum + (open > 0 || named.has(ino) ? size : 0), 0);
  };
  return async (path, flags) => {
    const handle = await openFile(path, flags);
    const { ino } = await handle.stat();
    const file = files.get(ino) ?? { size: 0, open: 0 };
    files.set(ino, file);
    file.open++;
    const { truncate, close } = handle;
    const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    return Object.assign(handle, {
      async write(bytes: Buffer, from: number, length: number, at: number): Promise<{ bytesWritten: number }> {
        if (inUse() - file.size + at + length > capacity)
          throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        file.size = Math.max(file.size, at + length);
        return await write(bytes, from, length, at);
      },
      async truncate(size: number): Promise<void> {
        file.size = size;
        await truncate.call(handle, size);
      },
      async close(): Promise<void> {
        file.open--;
        await close.call(handle);
      },
    }) as FileHandle;
  };
}

for (const when of ["before", "after"] as const) {
  test(`a disk that is full before a segment is gives room again, its readers done ${when} that`, async (t) => {
    const folder = folderOf(t);
    const { journal, time } = await opened(folder, { open: smallDisk(folder, 100_000) });
    const controller = new AbortController();
    const taken: StoredBatch[] = [];
    const reading = (async () => {
      for await (const batch of journal.read("a", controller.signal)) taken.push(batch);
    })();
    const store = (bytes: number): Promise<string> => journal.append(new Uint8Array(bytes), "id");
    for (let i = 0; i < 9; i++) t.is(await store(10_000), "stored");
    while (taken.length < 9) await setImmediate();
    if (when === "after") t.is(await store(10_000), "full");
    for (const batch of taken) batch.done();
    if (when === "before") t.is(await store(10_000), "full");
    // The file is deleted, and closed by who reads it, in the background.
    for (let i = 0; i < 9;) {
      time.advance(1000);
      await setImmediate();
      if ((await store(10_000)) === "stored") i++;
    }
    t.is(await store(10_000), "full");
    controller.abort();
    await reading;
    await journal.close();
  });
}
