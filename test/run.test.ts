import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

test("npm run fuzz runs the properties that are asked for, and says from what their inputs are drawn", async (t) => {
  const fuzz = (...args: string[]) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, WEIR_SEED: "7" };
      execFile(
        process.execPath,
        [join(root, "dist/test/fuzz.js"), ...args],
        { cwd: root, env },
        (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  const { code, stdout } = await fuzz("0.01", "attributes/url-path");
  t.is(code, 0, stdout);
  t.regex(stdout, /^inputs are drawn from WEIR_SEED=7\n/);
  t.regex(stdout, /✔ normalising twice is normalising once[^]*\n\d+ passed, 0 failed\n$/);
  for (const [args, says] of [
    [["many"], /expected how many times as many/],
    [["1", "no-such-room"], /no file of properties has no-such-room in its path/],
  ] as const) {
    const wrong = await fuzz(...args);
    t.is(wrong.code, 1);
    t.regex(wrong.stderr, says);
  }
});

test("npm run fuzz finds the decoder of attributes, the parser of expressions and the reader of policies", (t) => {
  for (const file of ["wire/mixer/attribute-decoder", "expression/fuzz", "policy/hostile"])
    t.true(readFileSync(join(root, "dist/test", `${file}.test.js`), "utf8").includes("/fuzz-runs.js"), file);
});
