import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { fingerprint } from "../../../src/runtime/watch/fingerprint.ts";
import { watchFiles } from "../../../src/runtime/watch/watch.ts";
import { fakeClock } from "../world.ts";

async function watching(t: import("ava").ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), "weir-watch-"));
  const clock = fakeClock();
  let changes = 0;
  const errors: unknown[] = [];
  const paths = [join(folder, "weir.yaml"), join(folder, "policies")];
  let known = await fingerprint(paths);
  const reload = async (): Promise<void> => void (known = await fingerprint(paths));
  const end = watchFiles({
    paths: () => paths,
    known: () => known,
    onChange: () => {
      changes++;
      return reload();
    },
    timers: clock,
    now: clock.now,
    onError: (error) => errors.push(error),
  });
  t.teardown(async () => {
    end();
    await rm(folder, { recursive: true, force: true });
  });
  /** Lets the watcher look that often. */
  const looks = async (times: number): Promise<number> => {
    const before = changes;
    for (let i = 0; i < times; i++) {
      await clock.advance(1000);
      // A look reads the file system: wait until it has set its next timer.
      while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
    }
    return changes - before;
  };
  return { folder, looks, reload, end, clock, errors };
}

test("edits, renames, new and deleted files are noticed, once they stand still", async (t) => {
  const { folder, looks } = await watching(t);
  t.is(await looks(3), 0);
  await mkdir(join(folder, "policies/deep"), { recursive: true });
  t.is(await looks(1), 0, "the first look only sees that something moves");
  t.is(await looks(1), 1);
  await writeFile(join(folder, "policies/deep/a.yaml"), "policy: a");
  t.is(await looks(3), 1);
  await writeFile(join(folder, "policies/deep/a.yaml"), "policy: b");
  t.is(await looks(3), 1, "an edit of the same length");
  await writeFile(join(folder, "policies/.a.swp"), "policy: c");
  await rename(join(folder, "policies/.a.swp"), join(folder, "policies/deep/a.yaml"));
  t.is(await looks(3), 1, "an editor's rename");
  await writeFile(join(folder, "weir.yaml"), "listen: {}");
  t.is(await looks(3), 1, "a file that was not there");
  await rm(join(folder, "weir.yaml"));
  t.is(await looks(3), 1, "a file that is gone");
  t.is(await looks(3), 0);
});

test("what was loaded already by itself is not told of, nor are an editor's own files", async (t) => {
  const { folder, looks, reload } = await watching(t);
  await mkdir(join(folder, "policies"));
  await writeFile(join(folder, "policies/a.yaml"), "policy: a");
  await reload();
  t.is(await looks(3), 0);
  await writeFile(join(folder, "policies/.a.yaml.swp"), "x");
  t.is(await looks(3), 0);
});

test("a mounted folder whose symlink is swapped is noticed", async (t) => {
  const { folder, looks } = await watching(t);
  for (const version of ["..1", "..2"]) {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, "a.yaml"), "policy: a");
    await utimes(join(folder, version, "a.yaml"), 1, 1);
  }
  await symlink("..1", join(folder, "..data"));
  await symlink("..data", join(folder, "policies"));
  t.is(await looks(3), 1);
  await symlink("..2", join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  t.is(await looks(3), 1, "same names, sizes and times, another folder");
});

test("a file that never stands still is told of all the same", async (t) => {
  const { folder, looks } = await watching(t);
  let told = 0;
  for (let i = 0; i < 15; i++) {
    await writeFile(join(folder, "weir.yaml"), "x".repeat(i + 1));
    told += await looks(1);
  }
  t.is(told, 1);
});

test("what a change's job throws is told, and the watching goes on until it is ended", async (t) => {
  const clock = fakeClock();
  const folder = await mkdtemp(join(tmpdir(), "weir-watch-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const errors: unknown[] = [];
  const end = watchFiles({
    paths: () => [folder],
    onChange: () => Promise.reject(new Error("bad")),
    known: () => "",
    timers: clock,
    now: clock.now,
    onError: (error) => errors.push(error),
  });
  for (let i = 0; i < 3; i++) {
    await clock.advance(1000);
    while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
  }
  t.is((errors[0] as Error).message, "bad");
  end();
  t.is(clock.waiting, 0);
});
