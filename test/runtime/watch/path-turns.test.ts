import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import test from "ava";
import { turnsOf } from "../../../src/runtime/watch/path-turns.ts";

test("a path can be turned where it stands, and at each symlink on its way", async (t) => {
  const root = await realpath(await mkdtemp(join(tmpdir(), "weir-turns-")));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, "releases/5/etc/policies"), { recursive: true });
  await symlink("releases/5", join(root, "current"));
  await symlink("../current/etc", join(root, "releases/etc"));
  await symlink(join(root, "current/etc"), join(root, "absolute"));
  await symlink("loop", join(root, "loop"));
  await writeFile(join(root, "file"), "");
  const cases: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
    "releases/5": { releases: ["5"] },
    "current/etc/policies": { "": ["current"], "releases/5/etc": ["policies"] },
    absolute: { "": ["absolute", "current"], "releases/5": ["etc"] },
    "releases/etc/policies": { "": ["current"], releases: ["etc"], "releases/5/etc": ["policies"] },
    "absent/policies": { "": ["absent"] },
    "file/policies": { file: ["policies"] },
    loop: { "": ["loop"] },
  };
  for (const [path, expected] of Object.entries(cases)) {
    const turns = [...(await turnsOf([join(root, path)]))].map(([at, names]) => [
      relative(root, at),
      [...names].sort(),
    ]);
    t.deepEqual(Object.fromEntries(turns), expected, path);
  }
  const both = await turnsOf([join(root, "current"), join(root, "file")]);
  t.deepEqual([...both.get(root)!], ["current", "file"]);
});
