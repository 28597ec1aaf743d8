import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { Duration } from "../../src/attributes/duration.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Ip } from "../../src/attributes/ip.ts";
import { Timestamp } from "../../src/attributes/timestamp.ts";
import { boundedKey, chargeId, keyWith, limitKeyPrefix, maxKeyLength } from "../../src/runtime/limits/limit-key.ts";
import { RuleIndex } from "../../src/runtime/rule-index.ts";
import { applies, matches } from "../../src/runtime/applies.ts";
import { prepareRule } from "../../src/runtime/prepared-rule.ts";
import { fingerprint, watchFiles } from "../../src/runtime/watch.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { bagOf } from "../attributes/bag-of.ts";
import { compiled, fakeClock } from "./world.ts";

const value = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom("(absent)", "absent;", "fault;", "s1:a", "1", "true", "10.0.0.1", ""),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constantFrom(
    undefined,
    new Fault("x"),
    Ip.parse("10.0.0.1")!,
    Timestamp.fromMs(1)!,
    Duration.fromMs(1)!,
    Uint8Array.of(1),
    new Map([["a", "b"]]),
  ),
);

function identity(part: unknown): string {
  if (part instanceof Fault) return "fault";
  if (part instanceof Map) return `map ${JSON.stringify([...part])}`;
  if (part instanceof Uint8Array) return `bytes ${part.join()}`;
  return `${typeof part} ${part?.constructor.name} ${String(part)}`;
}

test("keys of different values are different, and of the same values the same", (t) => {
  const keyOf = (values: readonly unknown[]): string =>
    boundedKey(
      "p",
      values.reduce<string>((key, part) => keyWith(key, part as string), "p"),
    );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), fc.array(value, { maxLength: 4 }), (a, b) => {
      const same = a.length === b.length && a.every((part, i) => identity(part) === identity(b[i]));
      return (keyOf(a) === keyOf(b)) === same;
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.not(keyOf(["ab", "c"]), keyOf(["a", "bc"]));
  t.not(keyOf([undefined]), keyOf(["(absent)"]));
});

test("a key is never longer than a bound, and long values stay apart", (t) => {
  const keyOf = (text: string): string => boundedKey("p", keyWith("p", text));
  const long = "x".repeat(1_000_000);
  t.true(keyOf(long).length <= maxKeyLength);
  t.not(keyOf(`${long}a`), keyOf(`${long}b`));
  t.not(keyOf(`${"x".repeat(300)}\ud800`), keyOf(`${"x".repeat(300)}\ud801`), "lone surrogates are different texts");
  t.true(chargeId("i".repeat(100_000), "c", "k", "n").length <= maxKeyLength);
});

test("a limit's key depends on id, algorithm, window and what it counts by, but not on the amount", (t) => {
  const limit = { id: "p/l", algorithm: "token-bucket", amount: 5, windowMs: 1000, burst: 5 } as const;
  const by = [{ name: "key", value: undefined as never }];
  const prefix = limitKeyPrefix({ limit, by });
  t.is(limitKeyPrefix({ limit: { ...limit, amount: 9, burst: 20 }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, id: "p/m" }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, algorithm: "fixed-window" }, by }), prefix);
  t.not(limitKeyPrefix({ limit: { ...limit, windowMs: 2000 }, by }), prefix);
  t.not(limitKeyPrefix({ limit, by: [] }), prefix);
  t.not(limitKeyPrefix({ limit, by: [{ ...by[0]!, name: "user" }] }), prefix);
});

test("the index finds every rule that applies, in order", async (t) => {
  const services = ["a", "b", "c"];
  const test_ = fc.constantFrom(
    ...services.map((name) => `destination.service.name == "${name}"`),
    ...services.map((name) => `source.namespace == "${name}" && request.method == "GET"`),
    `request.method == "GET"`,
    `destination.service.name == "a" || request.method == "GET"`,
    `destination.service.name == "b" && int(request.headers["n"]) > 1`,
  );
  const attribute = fc.constantFrom(undefined, new Fault("wrong"), ...services, "GET");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.option(test_), fc.option(test_)), { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(attribute, attribute, attribute, fc.constantFrom("0", "2", "x")), { maxLength: 10 }),
      async (rules, requests) => {
        const texts = rules.map(
          ([match, when], i) =>
            `policy: p${i}${match === null ? "" : `\nmatch: '${match}'`}\ncheck: [{ name: r, deny: aborted${when === null ? "" : `, when: '${when}'`} }]`,
        );
        const snapshot = await compiled(texts);
        const index = new RuleIndex(snapshot.checks);
        for (const [service, namespace, method, n] of requests) {
          const given = {
            "destination.service.name": service,
            "source.namespace": namespace,
            "request.method": method,
            "request.headers": { n },
          };
          const attributes = Object.fromEntries(Object.entries(given).filter(([, held]) => held !== undefined));
          const found = index.rules(bagOf(snapshot, attributes));
          const bag = bagOf(snapshot, attributes);
          const needed = snapshot.checks.filter((rule) => {
            const prepared = prepareRule(rule, snapshot, () => () => undefined);
            return applies(prepared, matches(prepared, bag), bag) !== false;
          });
          if (!needed.every(({ ordinal }) => found.includes(ordinal))) return false;
          if (found.some((ordinal, i) => i > 0 && ordinal <= found[i - 1]!)) return false;
        }
        return true;
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

test("of many rules for many services only those of the request's are looked at", async (t) => {
  const texts = Array.from(
    { length: 200 },
    (_, i) =>
      `policy: p${i}\nmatch: destination.service.name == "s${i}"\ncheck: [{ name: a, deny: aborted }, { name: b, deny: aborted, when: request.method == "GET" }]`,
  );
  const snapshot = await compiled([...texts, `policy: everywhere\ncheck: [{ name: a, deny: aborted }]`]);
  const index = new RuleIndex(snapshot.checks);
  const find = (attributes: object) => index.rules(bagOf(snapshot, attributes as never)).length;
  t.is(find({ "destination.service.name": "s7" }), 3);
  t.is(find({ "destination.service.name": "other" }), 1);
  t.is(find({}), 1);
  t.is(find({ "destination.service.name": new Fault("wrong") }), 401);
});

async function watching(t: import("ava").ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), "weir-watch-"));
  const clock = fakeClock();
  let changes = 0;
  const errors: unknown[] = [];
  const paths = [join(folder, "weir.yaml"), join(folder, "policies")];
  let known = await fingerprint(paths);
  const reload = async (): Promise<void> => void (known = await fingerprint(paths));
  const end = watchFiles({
    paths: () => paths,
    known: () => known,
    onChange: () => {
      changes++;
      return reload();
    },
    timers: clock,
    onError: (error) => errors.push(error),
  });
  t.teardown(async () => {
    end();
    await rm(folder, { recursive: true, force: true });
  });
  /** Lets the watcher look that often. */
  const looks = async (times: number): Promise<number> => {
    const before = changes;
    for (let i = 0; i < times; i++) {
      await clock.advance(1000);
      // A look reads the file system: wait until it has set its next timer.
      while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
    }
    return changes - before;
  };
  return { folder, looks, reload, end, clock, errors };
}

test("edits, renames, new and deleted files are noticed, once they stand still", async (t) => {
  const { folder, looks } = await watching(t);
  t.is(await looks(3), 0);
  await mkdir(join(folder, "policies/deep"), { recursive: true });
  t.is(await looks(1), 0, "the first look only sees that something moves");
  t.is(await looks(1), 1);
  await writeFile(join(folder, "policies/deep/a.yaml"), "policy: a");
  t.is(await looks(3), 1);
  await writeFile(join(folder, "policies/deep/a.yaml"), "policy: b");
  t.is(await looks(3), 1, "an edit of the same length");
  await writeFile(join(folder, "policies/.a.swp"), "policy: c");
  await rename(join(folder, "policies/.a.swp"), join(folder, "policies/deep/a.yaml"));
  t.is(await looks(3), 1, "an editor's rename");
  await writeFile(join(folder, "weir.yaml"), "listen: {}");
  t.is(await looks(3), 1, "a file that was not there");
  await rm(join(folder, "weir.yaml"));
  t.is(await looks(3), 1, "a file that is gone");
  t.is(await looks(3), 0);
});

test("what was loaded already by itself is not told of, nor are an editor's own files", async (t) => {
  const { folder, looks, reload } = await watching(t);
  await mkdir(join(folder, "policies"));
  await writeFile(join(folder, "policies/a.yaml"), "policy: a");
  await reload();
  t.is(await looks(3), 0);
  await writeFile(join(folder, "policies/.a.yaml.swp"), "x");
  t.is(await looks(3), 0);
});

test("a mounted folder whose symlink is swapped is noticed", async (t) => {
  const { folder, looks } = await watching(t);
  for (const version of ["..1", "..2"]) {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, "a.yaml"), "policy: a");
    await utimes(join(folder, version, "a.yaml"), 1, 1);
  }
  await symlink("..1", join(folder, "..data"));
  await symlink("..data", join(folder, "policies"));
  t.is(await looks(3), 1);
  await symlink("..2", join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  t.is(await looks(3), 1, "same names, sizes and times, another folder");
});

test("a file that never stands still is told of all the same", async (t) => {
  const { folder, looks } = await watching(t);
  let told = 0;
  for (let i = 0; i < 15; i++) {
    await writeFile(join(folder, "weir.yaml"), "x".repeat(i + 1));
    told += await looks(1);
  }
  t.is(told, 1);
});

test("what a change's job throws is told, and the watching goes on until it is ended", async (t) => {
  const clock = fakeClock();
  const folder = await mkdtemp(join(tmpdir(), "weir-watch-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const errors: unknown[] = [];
  const end = watchFiles({
    paths: () => [folder],
    onChange: () => Promise.reject(new Error("bad")),
    known: () => "",
    timers: clock,
    onError: (error) => errors.push(error),
  });
  for (let i = 0; i < 3; i++) {
    await clock.advance(1000);
    while (clock.waiting === 0) await new Promise((done) => setImmediate(done));
  }
  t.is((errors[0] as Error).message, "bad");
  end();
  t.is(clock.waiting, 0);
});
