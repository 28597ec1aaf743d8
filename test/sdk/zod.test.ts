import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { z } from "zod";
import {
  duration,
  httpHeaders,
  httpUrl,
  readHeaders,
  readSecret,
  readTls,
  secretOrFile,
  seriesBounds,
  serverName,
  size,
  tlsFiles,
} from "../../src/sdk/zod/index.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-zod-"));
test.after.always(() => rmSync(folder, { recursive: true }));

/** The issues of a value, each as `path: message`. */
function issuesOf(schema: z.ZodType, value: unknown): readonly string[] {
  const { error } = schema.safeParse(value);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const quantities: readonly (readonly [name: string, schema: z.ZodType, given: unknown, read: number | string])[] = [
  ["a duration", duration(1, 60_000), "1.5s", 1500],
  ["the least duration", duration(1, 60_000), "1ms", 1],
  ["the longest duration", duration(1, 60_000), "1m", 60_000],
  ["a duration that is too short", duration(1, 60_000), "0s", 'expected a duration of 1ms to 1m, got "0s"'],
  ["a duration that is too long", duration(100, 5_400_000), "2h", 'expected a duration of 100ms to 90m, got "2h"'],
  ["a number without a unit", duration(1000), "5", 'expected a duration of 1s or more, got "5"'],
  ["a duration of none", duration(0), "-1s", 'expected a duration of 0ms or more, got "-1s"'],
  ["a size", size(1024), "1.5KiB", 1536],
  ["a size in bytes", size(1024), 2048, 2048],
  ["bytes that are too few", size(1024), 5, "expected a size of 1KiB or more, got 5"],
  ["bytes that are no whole number", size(1024), 2000.5, "expected a size of 1KiB or more, got 2000.5"],
  ["a size that is neither", size(1024), true, "expected a size of 1KiB or more, got true"],
  ["a duration that is a number", duration(1000), 5, "expected a duration of 1s or more, got 5"],
  ["a duration that is a list", duration(1000), ["5s"], "expected a duration of 1s or more"],
  ["a size that is too small", size(1024), "1000B", 'expected a size of 1KiB or more, got "1000B"'],
  ["a size that is too large", size(1, 3 * 1024 ** 2), "1GiB", 'expected a size of 1B to 3MiB, got "1GiB"'],
  ["a text that is long", size(1), "9".repeat(100), `expected a size of 1B or more, got "${"9".repeat(64)}..."`],
];

for (const [name, schema, given, read] of quantities) {
  test(`quantities: ${name}`, (t) => {
    if (typeof read === "string") t.deepEqual(issuesOf(schema, given), [`: ${read}`]);
    else t.is(schema.parse(given), read);
  });
}

test("a secret is a text or lies in a file, without the end of its line, and is never shown", async (t) => {
  writeFileSync(join(folder, "secret"), "s3cret \r\n");
  writeFileSync(join(folder, "empty"), "\n");
  t.is(await readSecret(secretOrFile.parse("in place"), folder), "in place");
  t.is(await readSecret(secretOrFile.parse({ file: "secret" }), folder), "s3cret ");
  t.is(await readSecret({ file: join(folder, "secret") }, "/"), "s3cret ");
  await t.throwsAsync(readSecret({ file: "empty" }, folder), {
    message: "empty: expected a secret, the file is empty",
  });
  await t.throwsAsync(readSecret({ file: "missing" }, folder), { code: "ENOENT" });
  for (const wrong of [{ path: "secret" }, 7])
    t.deepEqual(issuesOf(secretOrFile, wrong), [": expected a text, or { file: PATH }"]);
  for (const wrong of ["", { file: "" }, { file: "a", more: 1 }]) t.is(issuesOf(secretOrFile, wrong).length, 1);
});

test("TLS: certificate and key belong together, and what an adapter adds is kept and typed", async (t) => {
  for (const file of ["ca", "cert", "key"]) writeFileSync(join(folder, `${file}.pem`), `PEM of ${file}`);
  const files = tlsFiles({ serverName, first: z.boolean().default(false) });
  t.deepEqual(issuesOf(files, { cert: "cert.pem" }), [": cert and key belong together"]);
  t.deepEqual(issuesOf(files, { key: "key.pem" }), [": cert and key belong together"]);
  t.deepEqual(issuesOf(tlsFiles({}), { serverName: "a" }), [': Unrecognized key: "serverName"']);
  const given = files.parse({ ca: "ca.pem", cert: "cert.pem", key: "key.pem", serverName: "db.example" });
  t.false(given.first);
  t.deepEqual(await readTls(given, folder), {
    ca: "PEM of ca",
    cert: "PEM of cert",
    key: "PEM of key",
    servername: "db.example",
  });
  t.deepEqual(await readTls(undefined, folder), {});
  await t.throwsAsync(readTls({ ca: "missing.pem" }, folder), { code: "ENOENT" });
});

test("HTTP: a URL holds no secrets, and what is wrong with it is told without its text", (t) => {
  t.is(httpUrl.parse("https://collector:4318/base").pathname, "/base");
  for (const wrong of ["collector", "ftp://a", "http://ann:pass@a", "http://a?key=pass", "http://a#pass"]) {
    const [issue, ...more] = issuesOf(httpUrl, wrong);
    t.deepEqual(more, []);
    t.regex(issue!, /expected http:/);
    t.notRegex(issue!, /pass/);
  }
});

test("HTTP: header fields may lie in files, and hold nothing that ends a line", async (t) => {
  const headers = httpHeaders(/^grpc-/i);
  t.deepEqual(headers.parse(undefined), {});
  for (const name of ["Host", "content-type", "grpc-timeout", "a b"])
    t.is(issuesOf(headers, { [name]: "x" }).length, 1);
  t.deepEqual(issuesOf(headers, { "x-a": "a\r\nb" }), ["x-a: expected printable ASCII"]);
  writeFileSync(join(folder, "token"), "Bearer abc\n");
  writeFileSync(join(folder, "lines"), "a\nb\n");
  const given = headers.parse({ "x-team": "mesh", authorization: { file: "token" } });
  t.deepEqual(await readHeaders(given, folder), { "x-team": "mesh", authorization: "Bearer abc" });
  await t.throwsAsync(readHeaders({ authorization: { file: "lines" } }, folder), {
    message: "lines: expected one line of printable ASCII for header authorization",
  });
});

test("series: bounds have their defaults, and never is no time", (t) => {
  const bounds = z.strictObject(seriesBounds);
  t.deepEqual(bounds.parse({}), { maxSeries: 10_000, expire: 3_600_000, maxLabelLength: 256 });
  t.is(bounds.parse({ expire: "never" }).expire, undefined);
  t.deepEqual(issuesOf(bounds, { expire: "31d" }), ["expire: expected never, or a duration of 1s to 30d"]);
});
