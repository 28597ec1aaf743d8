import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { leashed } from "../../e2e/leash.ts";
import { peers } from "../../e2e/peers.ts";
import { notRun } from "../../e2e/programs.ts";
import { echo, serveHttp2 } from "./serve.ts";

/** Cases of h2spec that do not apply: it tests RFC 7540, and RFC 9113, 5.3.2 has taken its priorities away. */
const notApplying = [
  "http2/5.3.1: Sends HEADERS frame that depend on itself",
  "http2/5.3.1: Sends PRIORITY frame that depend on itself",
];

test("h2spec's cases pass, strict ones too", async (t) => {
  t.timeout(200_000);
  const found = await peers.h2spec();
  if ("gap" in found) return notRun(t, found);
  const { port, log } = await serveHttp2(t, echo);
  const folder = mkdtempSync(join(tmpdir(), "weir-h2spec-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const report = join(folder, "report.xml");
  const args = ["--host", "127.0.0.1", "--port", String(port), "--timeout", "5", "--strict", "--junit-report", report];
  const child = spawn(...leashed(found.path, args), { stdio: ["ignore", "ignore", "inherit"] });
  await once(child, "close");

  const cases = readFileSync(report, "utf8").split("<testcase ").slice(1);
  const failed = cases
    .filter((text) => /<(error|failure)/.test(text))
    .map((text) => `${/package="([^"]*)"/.exec(text)![1]}: ${/classname="([^"]*)"/.exec(text)![1]}`);
  t.true(cases.length >= 140, `${cases.length} cases`);
  t.deepEqual(failed, notApplying);
  t.deepEqual(
    log.lines.filter(({ level }) => level === "error"),
    [],
  );
});
