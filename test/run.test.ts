import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Of the runner: what it is made of. */
const parts = ["run.js", "e2e/peers.js", "e2e/programs.js", "e2e/hub.js", "e2e/leash.js"];

const lacking = `
import test from "ava";
import { notRun, program } from "./e2e/programs.js";
test("needs it", async (t) => {
  notRun(t, await program("weir-no-such-program", { file: "bin", script: "exit 1", how: "build it" }));
});`;

test("a program that cannot be had is listed with how to get it, and is a failure where CI is set", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-run-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of parts) {
    mkdirSync(dirname(join(folder, "dist/test", part)), { recursive: true });
    cpSync(join(root, "dist/test", part), join(folder, "dist/test", part));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ type: "module", ava: { files: ["dist/test/**/*.test.js"] } }),
  );
  for (const file of ["test/lacking.test.ts", "dist/test/lacking.test.js"]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), lacking);
  }
  const run = (env: Record<string, string>) =>
    new Promise<{ code: unknown; lines: string[] }>((resolve) => {
      const { CI: _, ...rest } = process.env;
      execFile(
        process.execPath,
        ["dist/test/run.js", "dist/test/lacking.test.js"],
        { cwd: folder, env: { ...rest, ...env } },
        (error, stdout) => resolve({ code: error?.code ?? 0, lines: stdout.trim().split("\n") }),
      );
    });
  const gap = "not run: weir-no-such-program: build it, or set WEIR_NO_SUCH_PROGRAM_BIN";
  const at = await run({});
  t.true(at.lines.includes(gap), at.lines.join("\n"));
  t.is(at.lines.at(-1), "1 passed, 0 failed");
  t.is(at.code, 0);
  const strict = await run({ CI: "true" });
  t.true(strict.lines.includes(gap), strict.lines.join("\n"));
  t.is(strict.lines.at(-1), "1 passed, 1 failed");
  t.is(strict.code, 1);
});
