/**
 * Runs every test and ends with one line that people and machines read alike: `N passed, N failed`.
 *
 * ava runs the files; this script shows a line a file as it goes, every failure whole, and at the end what could not
 * be run for want of a program, with how to get it. With CI set, such a gap is a failure.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { peers } from "./e2e/peers.ts";

/** Tests that need a program which is not here print a line `# not run: WHAT: HOW TO GET IT` (a TAP comment). */
const gapPattern = /^\s*#\s+not run: (.+)$/;

// What was compiled from a test that is gone or has another name now would run for ever.
const dist = fileURLToPath(new URL("..", import.meta.url));
for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (file.endsWith(".test.js") && !existsSync(join(dist, "..", file.replace(/\.js$/, ".ts"))))
    rmSync(join(dist, file));
}

/** What could not be fetched. */
const gaps = new Set<string>();
if (process.argv.length === 2) {
  const progress = setTimeout(() => console.log("fetching the programs that tests run into .cache, once"), 2000);
  const found = await Promise.all(Object.values(peers).map((find) => find()));
  clearTimeout(progress);
  for (const peer of found) if ("gap" in peer) gaps.add(peer.gap);
}

/** A test that lacks a program knows less of why than whoever tried to fetch it. */
function tell(gap: string): void {
  if (![...gaps].some((known) => known.startsWith(gap))) gaps.add(gap);
}

const ava = fileURLToPath(new URL("../../node_modules/ava/entrypoints/cli.mjs", import.meta.url));
const child = spawn(process.execPath, [ava, "--tap", ...process.argv.slice(2)], {
  stdio: ["ignore", "pipe", "inherit"],
  // Nothing is tried twice.
  env: { ...process.env, ...(process.argv.length === 2 && { WEIR_TEST_PROGRAMS: "fetched" }) },
});

let passed = 0;
let failed = 0;
let skipped = 0;
const files = new Map<string, { passed: number; failed: number }>();
/** Whether the lines that come belong to a test that failed. */
let inFailure = false;

for await (const line of createInterface({ input: child.stdout })) {
  const outcome = /^(not ok|ok) \d+(?: - (.*))?$/.exec(line);
  if (outcome === null) {
    const gap = gapPattern.exec(line);
    if (gap !== null) tell(gap[1]!);
    else if (inFailure) console.log(line);
    continue;
  }
  const [, verdict, title = ""] = outcome;
  const file = title.split(" › ")[0]!;
  const counts = files.get(file) ?? { passed: 0, failed: 0 };
  files.set(file, counts);
  inFailure = verdict === "not ok" && !/# TODO/.test(title);
  if (/# (SKIP|TODO)/.test(title)) skipped++;
  else if (inFailure) {
    failed++;
    counts.failed++;
    console.log(`✘ ${title}`);
  } else {
    passed++;
    counts.passed++;
  }
}

const status = await new Promise<number>((resolve) => {
  child.once("close", (code) => resolve(code ?? 1));
});

console.log("");
for (const [file, counts] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
  console.log(
    `${counts.failed === 0 ? "✔" : "✘"} ${file}: ${counts.passed} passed${counts.failed === 0 ? "" : `, ${counts.failed} failed`}`,
  );
}
for (const gap of gaps) console.log(`not run: ${gap}`);
if (gaps.size > 0 && process.env["CI"] !== undefined) failed += gaps.size;
if (status !== 0 && failed === 0) {
  // A file that crashed, or that holds no test, is no test that failed: count it, or the last line would say that all is well.
  console.log(`ava ended with status ${status} although no test failed`);
  failed++;
}
if (passed === 0 && failed === 0) {
  console.log("no test was run");
  failed++;
}
console.log("");
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`);
process.exitCode = failed === 0 ? 0 : 1;
