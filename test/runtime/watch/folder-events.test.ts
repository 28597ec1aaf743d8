import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { systemFolderEvents } from "../../../src/runtime/watch/folder-events.ts";

async function folderFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-events-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const isRelied = process.platform === "linux";

test("the system tells what was written in a folder, and that the folder is gone", async (t) => {
  const folder = await folderFor(t);
  if (!isRelied) return void (await t.throwsAsync(systemFolderEvents(folder, () => undefined)));
  let tell: (name: string | null) => void;
  const nextEvent = (): Promise<string | null> => new Promise((done) => (tell = done));
  const written = nextEvent();
  const end = await systemFolderEvents(folder, (name) => tell(name));
  await writeFile(join(folder, "a.yaml"), "policy: a");
  t.is(await written, "a.yaml");
  const gone = new Promise<void>((done) => (tell = (name) => void (name !== "a.yaml" && done())));
  await rm(folder, { recursive: true });
  await gone;
  end();
  t.pass();
});

test("what cannot be watched, or not relied on, is refused with the reason", async (t) => {
  const folder = await folderFor(t);
  await t.throwsAsync(
    systemFolderEvents(join(folder, "absent"), () => undefined),
    { code: "ENOENT" },
  );
  if (!isRelied) return;
  await t.throwsAsync(
    systemFolderEvents("/proc", () => undefined),
    { message: "a file system that may not tell of changes (0x9fa0)" },
  );
});

test("no process is kept alive by what it watches", async (t) => {
  const folder = await folderFor(t);
  const script = `
    import { systemFolderEvents } from ${JSON.stringify(new URL("../../../src/runtime/watch/folder-events.js", import.meta.url).href)};
    await systemFolderEvents(${JSON.stringify(folder)}, () => undefined).catch(() => undefined);
    console.log("watches");`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  t.is(stdout, "watches\n");
});
