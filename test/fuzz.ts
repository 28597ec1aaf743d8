/**
 * Runs the files that hold properties for longer and from another seed each time, which it prints: `npm run fuzz -- 50`
 * tries fifty times as many inputs as `npm test`; `npm run fuzz -- 50 expression` those of files whose path has the word;
 * `WEIR_SEED=7 npm run fuzz -- 50` the same ones each time. They are found by what they import.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const [factor = "20", ...words] = process.argv.slice(2);
if (!(Number(factor) > 0)) {
  console.error(`expected how many times as many inputs as usual, found "${factor}"`);
  process.exit(1);
}
const seed = process.env["WEIR_SEED"] ?? String(randomInt(2 ** 31));
console.log(`inputs are drawn from WEIR_SEED=${seed}`);
const folder = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.js"))
  .map((file) => join(folder, file))
  .filter((file) => readFileSync(file, "utf8").includes("/fuzz-runs.js"))
  .filter((file) => words.every((word) => relative(folder, file).includes(word)));
if (files.length === 0) {
  console.error(`no file of properties has ${words.join(" and ")} in its path`);
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [join(folder, "run.js"), "--timeout=2h", ...files], {
  stdio: "inherit",
  env: { ...process.env, WEIR_FUZZ: factor, WEIR_SEED: seed },
});
process.exitCode = status ?? 1;
