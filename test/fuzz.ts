/**
 * Runs the files that hold properties for longer: `npm run fuzz -- 50` tries fifty times as many inputs as `npm test`.
 * They are found by what they import.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [factor = "20"] = process.argv.slice(2);
if (!(Number(factor) > 0)) {
  console.error(`expected how many times as many inputs as usual, found "${factor}"`);
  process.exit(1);
}
const folder = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.js"))
  .map((file) => join(folder, file))
  .filter((file) => readFileSync(file, "utf8").includes("/fuzz-runs.js"));
const { status } = spawnSync(process.execPath, [join(folder, "run.js"), "--timeout=2h", ...files], {
  stdio: "inherit",
  env: { ...process.env, WEIR_FUZZ: factor },
});
process.exitCode = status ?? 1;
