import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

const main = fileURLToPath(new URL("main.js", import.meta.url));

/** Runs `npm run compose` where nothing can be run. */
function runCompose(env: Readonly<Record<string, string>>): Promise<{ code: unknown; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main], { env }, (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr }));
  });
}

test("without Docker it says so, with a status of its own", async (t) => {
  const { code, stderr } = await runCompose({ PATH: "/nowhere" });
  t.is(code, 2);
  t.is(stderr, "not run: there is no docker on the search path\n");
});
