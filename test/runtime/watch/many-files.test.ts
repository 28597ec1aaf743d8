import { mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { fingerprint } from "../../../src/runtime/watch/fingerprint.ts";
import { systemFolderEvents, type WatchFolder } from "../../../src/runtime/watch/folder-events.ts";
import { watchFiles } from "../../../src/runtime/watch/watch.ts";
import { fakeClock } from "../world.ts";

interface Watch {
  readonly path: string;
  tell(name: string | null): void;
}

/** A system that tells of a folder what a test says. */
function fakeSystem() {
  const watches = new Set<Watch>();
  const refused = new Map<string, string>();
  let made = 0;
  const watchFolder: WatchFolder = async (path, onEvent) => {
    const reason = refused.get(path);
    if (reason !== undefined) throw new Error(reason);
    made++;
    const watch = { path, tell: onEvent };
    watches.add(watch);
    return () => void watches.delete(watch);
  };
  return {
    watchFolder,
    refused,
    made: () => made,
    paths: () => [...watches].map(({ path }) => path).sort(),
    /** Tells each watch on the folder, as the system does. */
    tell(path: string, name: string | null): void {
      for (const watch of watches) if (watch.path === path) watch.tell(name);
    },
  };
}

async function manyFiles(t: ExecutionContext, count = 400) {
  const folder = await mkdtemp(join(tmpdir(), "weir-watch-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const policies = join(folder, "policies");
  await mkdir(policies);
  await Promise.all(Array.from({ length: count }, (_, i) => writeFile(join(policies, `${i}.yaml`), `policy: p${i}`)));
  return { folder, policies };
}

interface Given {
  readonly paths: readonly string[];
  readonly watchFolder: WatchFolder;
  /** Called at the beginning of each look. */
  readonly onLook?: () => void;
}

async function watching(t: ExecutionContext, { paths, watchFolder, onLook }: Given) {
  const clock = fakeClock();
  const untold: object[] = [];
  let known = await fingerprint(paths);
  let changes = 0;
  let looks = 0;
  const end = watchFiles({
    paths() {
      looks++;
      onLook?.();
      return paths;
    },
    known: () => known,
    async onChange() {
      changes++;
      known = await fingerprint(paths);
    },
    timers: clock,
    now: clock.now,
    watchFolder,
    onUntold: (found) => untold.push(found),
    onError: (error) => t.fail(String(error)),
  });
  t.teardown(end);
  /** Lets seconds go by, and looks end that begin in them. */
  const seconds = async (count: number): Promise<{ looks: number; changes: number }> => {
    const before = { looks, changes };
    for (let i = 0; i < count; i++) {
      await clock.advance(1000);
      while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
    }
    return { looks: looks - before.looks, changes: changes - before.changes };
  };
  return { seconds, untold, end, clock };
}

test("few files are looked at every second, and nothing is watched", async (t) => {
  const { policies } = await manyFiles(t, 332);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  t.is((await seconds(5)).looks, 5);
  t.is(system.made(), 0);
});

test("many files are looked at seldom, and soon when the system tells of a change", async (t) => {
  const { folder, policies } = await manyFiles(t);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  t.is((await seconds(2)).looks, 2, "one finds that they are many, one has watches");
  t.deepEqual(system.paths(), [folder, policies]);
  t.is((await seconds(8)).looks, 0);
  t.is((await seconds(1)).looks, 1);
  await writeFile(join(policies, "7.yaml"), "policy: other");
  t.is((await seconds(4)).looks, 0);
  system.tell(policies, "7.yaml");
  t.deepEqual(await seconds(1), { looks: 1, changes: 0 }, "the first look only sees that something moves");
  t.deepEqual(await seconds(1), { looks: 1, changes: 1 });
  t.deepEqual(system.paths(), [folder, policies], "and has the watch anew");
});

test("a change that the system does not tell of is found all the same", async (t) => {
  const { policies } = await manyFiles(t);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  await writeFile(join(policies, "7.yaml"), "policy: other");
  t.deepEqual(await seconds(10), { looks: 2, changes: 1 });
});

test("what happens while a look is under way makes the next come soon", async (t) => {
  const { policies } = await manyFiles(t);
  const system = fakeSystem();
  let tells = false;
  const onLook = (): void => {
    if (tells) system.tell(policies, "7.yaml");
    tells = false;
  };
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder, onLook });
  await seconds(2);
  tells = true;
  t.is((await seconds(9)).looks, 1);
  t.is((await seconds(1)).looks, 1);
});

test("only names that matter make a look", async (t) => {
  const { folder, policies } = await manyFiles(t);
  const system = fakeSystem();
  const paths = [join(folder, "weir.yaml"), policies];
  const { seconds } = await watching(t, { paths, watchFolder: system.watchFolder });
  const cases: readonly (readonly [string, string | null, number])[] = [
    [policies, ".7.yaml.swp", 0],
    [folder, "ledger", 0],
    [folder, "weir.yaml", 1],
    [folder, "policies", 1],
    [policies, "..data", 1],
    [policies, "new.yaml", 1],
    [policies, "policies", 1],
    [policies, null, 1],
  ];
  await seconds(2);
  for (const [path, name, looks] of cases) {
    system.tell(path, name);
    t.is((await seconds(2)).looks, looks, `${name} in ${path === folder ? "the folder above" : "the folder"}`);
    await seconds(10);
  }
});

test("a storm of events makes no more looks than few files have", async (t) => {
  const { policies } = await manyFiles(t);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  let looks = 0;
  for (let i = 0; i < 20; i++) {
    for (let k = 0; k < 1000; k++) system.tell(policies, "7.yaml");
    looks += (await seconds(1)).looks;
  }
  t.is(looks, 20);
  t.true(system.made() <= 2 + 20, "and a watch tells once a look");
});

test("a storm of names that do not matter is heard no longer than until the next look", async (t) => {
  const { policies } = await manyFiles(t);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  for (let i = 0; i < 999; i++) system.tell(policies, ".swp");
  t.is((await seconds(1)).looks, 0);
  system.tell(policies, ".swp");
  t.false(system.paths().includes(policies));
  t.is((await seconds(1)).looks, 1);
  t.true(system.paths().includes(policies));
});

test("a folder that was made anew at the same path is watched anew, and one that is gone no more", async (t) => {
  const { folder, policies } = await manyFiles(t);
  const [a, b] = [join(policies, "a"), join(policies, "b")];
  await mkdir(a);
  await mkdir(b);
  const system = fakeSystem();
  const { seconds } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  t.deepEqual(system.paths(), [folder, policies, a, b]);
  const made = system.made();
  const { ino } = await stat(a, { bigint: true });
  await rename(a, join(folder, "kept"));
  await mkdir(a);
  t.not((await stat(a, { bigint: true })).ino, ino);
  await rm(b, { recursive: true });
  await seconds(10);
  t.deepEqual(system.paths(), [folder, policies, a]);
  t.is(system.made(), made + 1);
});

test("the watches end when few files are left, and with the watching", async (t) => {
  const { policies } = await manyFiles(t);
  const system = fakeSystem();
  const { seconds, end, clock } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  for (let i = 0; i < 200; i++) await rm(join(policies, `${i}.yaml`));
  await seconds(9);
  t.deepEqual(system.paths(), []);
  for (let i = 0; i < 200; i++) await writeFile(join(policies, `${i}.yaml`), "");
  await seconds(3);
  t.is(system.paths().length, 2);
  end();
  t.deepEqual(system.paths(), []);
  t.is(clock.waiting, 0);
});

test("where a folder cannot be watched, files are looked at as often as without, and it is told once", async (t) => {
  const { folder, policies } = await manyFiles(t);
  const system = fakeSystem();
  system.refused.set(policies, "ENOSPC: System limit for number of file watchers reached");
  const { seconds, untold } = await watching(t, { paths: [policies], watchFolder: system.watchFolder });
  await seconds(2);
  t.is((await seconds(12)).looks, 6, "every 3 ms a file, in whole seconds here");
  t.deepEqual(untold, [{ folder: policies, reason: "ENOSPC: System limit for number of file watchers reached" }]);
  t.deepEqual(system.paths(), [folder]);
  system.refused.clear();
  await seconds(4);
  t.deepEqual(system.paths(), [folder, policies], "it is tried again with each look");
  t.is((await seconds(4)).looks, 0);
});

test("the swap of a mounted folder is told by the system itself", async (t) => {
  const { folder, policies } = await manyFiles(t);
  const mount = join(folder, "mount");
  await mkdir(mount);
  await rename(policies, join(mount, "..1"));
  await symlink("..1", join(mount, "..data"));
  await symlink("..data", join(mount, "policies"));
  let swapped = (): void => undefined;
  const watched: string[] = [];
  const watchFolder: WatchFolder = (path, onEvent) => {
    watched.push(path);
    return systemFolderEvents(path, (name) => {
      onEvent(name);
      if (name === "..data") swapped();
    });
  };
  const paths = [join(mount, "policies")];
  const { seconds, untold } = await watching(t, { paths, watchFolder });
  await seconds(2);
  if (process.platform !== "linux") {
    t.is(untold.length, 1, "it is relied on Linux alone");
    return;
  }
  t.deepEqual(untold, []);
  t.deepEqual(watched, [mount, join(mount, "policies")]);

  await mkdir(join(mount, "..2"));
  await writeFile(join(mount, "..2", "a.yaml"), "policy: a");
  t.is((await seconds(1)).looks, 0);
  await symlink("..2", join(mount, "..data_tmp"));
  const event = new Promise<void>((done) => (swapped = done));
  await rename(join(mount, "..data_tmp"), join(mount, "..data"));
  await event;
  t.deepEqual(await seconds(2), { looks: 2, changes: 1 });
});
