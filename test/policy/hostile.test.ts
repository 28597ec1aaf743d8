import { setImmediate as nextTurn } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import { stringify } from "yaml";
import { compilePolicies } from "../../src/policy/index.ts";
import { maxProblems, Problems } from "../../src/policy/problems.ts";
import { parseRate } from "../../src/sdk/index.ts";
import { formatSize, parseSize } from "../../src/policy/shape/size.ts";
import type { Node, ScalarNode } from "../../src/policy/yaml/node.ts";
import { readYaml, readYamlInTurns } from "../../src/policy/yaml/read-yaml.ts";
import { scalarRange } from "../../src/policy/yaml/scalar-offset.ts";
import { sourceOf } from "../../src/policy/yaml/source.ts";
import { formatProblem } from "../../src/policy/index.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { adapters } from "./adapters.ts";

/** Inputs of each fuzz test; `npm run fuzz` asks for more. */
const runs = fuzzRuns(200);

const MiB = 1024 * 1024;

async function compile(text: string) {
  return compilePolicies({
    config: { path: "weir.yaml", text: "limits: { policy: 2MiB }" },
    files: [{ path: "a.yaml", text }],
    adapters,
    folder: "/",
  });
}

async function codesOf(text: string): Promise<readonly string[]> {
  const compiled = await compile(text);
  return "problems" in compiled ? compiled.problems.map(({ code, line }) => `${code}:${line}`) : [];
}

/** Texts that would keep a YAML parser busy for minutes, or end the process. */
const hostile: Readonly<Record<string, readonly [text: string, found: string]>> = {
  "brackets within brackets": ["[".repeat(MiB), "WEIR_YAML_SYNTAX:1"],
  "braces within braces": ["{a: ".repeat(MiB / 8), "WEIR_YAML_SYNTAX:1"],
  "items within items": ["- ".repeat(MiB / 2), "WEIR_YAML_SYNTAX:1"],
  "keys within keys": ["? ".repeat(MiB / 2), "WEIR_YAML_SYNTAX:1"],
  "maps within maps": [Array.from({ length: 1400 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), "WEIR_YAML_SYNTAX:130"],
  "aliases of aliases": [
    `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]\n`).join("")}`,
    "WEIR_YAML_SYNTAX:6",
  ],
  "a long text with many lines": [`policy: "${"x\n ".repeat(MiB / 3)}"`, "WEIR_YAML_SYNTAX:1"],
  "quotes without an end": ['"'.repeat(MiB), "WEIR_YAML_SYNTAX:1"],
  commas: [`[${",".repeat(MiB / 4)}]`, "WEIR_YAML_SYNTAX:1"],
  anchors: ["& ".repeat(MiB / 4), "WEIR_YAML_SYNTAX:1"],
  "a bomb of one rule": [
    `policy: a\ncheck:\n  - &r { name: x, deny: aborted, http: { headers: {${Array.from({ length: 5000 }, (_, i) => `h${i}: v`).join(", ")}} } }\n${"  - *r\n".repeat(10_000)}`,
    "WEIR_YAML_SYNTAX:23",
  ],
};

for (const [what, [text, found]] of Object.entries(hostile)) {
  test(`${what}: a problem, in bounded time`, async (t) => {
    t.true((await codesOf(text)).includes(found));
  });
}

test("aliases that stand for too many values are told of once a file", async (t) => {
  for (const what of ["aliases of aliases", "a bomb of one rule"]) {
    const syntax = (await codesOf(hostile[what]![0])).filter((code) => code.startsWith("WEIR_YAML_SYNTAX"));
    t.deepEqual(syntax, [hostile[what]![1]]);
  }
});

test("empty lines, comments and documents without end are harmless", async (t) => {
  for (const text of [`${"# x\n".repeat(MiB / 16)}`, "---\n".repeat(MiB / 64), " ".repeat(MiB), "\n".repeat(MiB / 8)])
    t.deepEqual(await codesOf(text), []);
});

test("a file of 80,000 broken rules tells the first problems and counts the others", async (t) => {
  const compiled = await compile(`policy: a\ncheck:\n${"  - { dny: permission }\n".repeat(80_000)}`);
  if (!("problems" in compiled)) return void t.fail();
  t.is(compiled.problems.length, maxProblems);
  t.is(compiled.omitted, 80_000 - maxProblems);
  t.deepEqual([compiled.problems[0]?.line, compiled.problems.at(-1)?.line], [3, maxProblems + 2]);
});

test("a long line is shown in part, with the caret under the mistake", async (t) => {
  const compiled = await compile(
    `{ policy: a, match: "true", ${" ".repeat(60_000)}chek: [], ${" ".repeat(60_000)} report: [] }`,
  );
  if (!("problems" in compiled)) return void t.fail();
  t.true(compiled.problems[0]!.text!.length <= 240);
  const [, , line, caret] = formatProblem(compiled.problems[0]!).split("\n");
  t.is(line!.slice(caret!.indexOf("^"), caret!.lastIndexOf("^") + 1), "chek");
});

test("a large file is read in small steps, and becomes the same as when it is read at once", async (t) => {
  const text = Array.from(
    { length: 200 },
    (_, i) => `# ${i}\npolicy: p${i}\nlabels: { a: [1, "x"], b: {} }\n---\n`,
  ).join("");
  let steps = 0;
  const turn = (): Promise<void> | undefined => (++steps % 3 === 0 ? nextTurn() : undefined);
  const problems = new Problems();
  const inTurns = await readYamlInTurns(sourceOf("a.yaml", text), problems, turn);
  t.deepEqual(inTurns, readYaml(sourceOf("a.yaml", text), problems));
  t.is(inTurns.length, 200);
  t.is(problems.errors, 0);
  // One document alone, too: it is not only between documents that others have their turn.
  const documents = steps;
  steps = 0;
  const long = `list:\n${"  - [1, 2, three]\n".repeat(1000)}`;
  await readYamlInTurns(sourceOf("b.yaml", long), problems, turn);
  t.true(documents > 200 && steps > 20, `${documents} and ${steps} steps`);
});

test("while a large set is compiled, others get their turn", async (t) => {
  let turns = 0;
  let done = false;
  const files = Array.from({ length: 200 }, (_, i) => ({
    path: `${i}.yaml`,
    text: `policy: p${i}\ncheck:\n${Array.from({ length: 20 }, (_, j) => `  - { name: r${j}, deny: aborted, unless: request.path == "/${i}/${j}" }\n`).join("")}`,
  }));
  const compiling = compilePolicies({ files, adapters, folder: "/" }).finally(() => (done = true));
  while (!done) {
    await nextTurn();
    turns++;
  }
  const compiled = await compiling;
  t.is("snapshot" in compiled && compiled.snapshot.checks.length, 4000);
  t.true(turns > 1);
});

const sample = `# a comment
policy: ratings
namespace: bookinfo
match: destination.service.name == "ratings"
mode: enforce
check:
  - name: only-reviews
    deny: permission_denied
    unless: source.namespace == "reviews"
    message: "ratings answers \\x41 only the reviews namespace"
    http: { status: 403, body: 'no', headers: { x-a: b } }
    cache: 30s
  - &limit
    name: per-key
    limit: 500/s
    burst: 1000
    by: { key: request.api_key }
    cost: "1"
    when: >-
      request.method == "GET" &&
      has(request.headers["x-key"])
  - name: tag
    headers: { request: { set: { x-plan: '"gold"' }, remove: [x-a] } }
report:
  - metric: requests_total
    type: histogram
    value: response.duration
    buckets: { linear: { start: 1, width: 2, count: 3 } }
    labels: { source: source.workload.name, code: response.code }
  - log: access
    severity: warning
    fields: { path: request.path }
---
policy: other
report: []
`;

/** A text with a few places of it overwritten, cut out or doubled. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(sample.length),
      length: fc.nat(12),
      insert: fc.oneof(
        fc.constantFrom(
          ..."[]{}:,&*!|>'\"%@`#-?\n\t ",
          "\r\n",
          "\n\n",
          "---\n",
          "<<: *limit",
          "*limit",
          "&x ",
          "!!str ",
          "\u2028",
          "null",
          "~",
          "0x1F",
          ".nan",
          "__proto__",
          "\\u00",
        ),
        fc.string({ maxLength: 8 }),
        fc.string({ unit: "binary", maxLength: 4 }),
      ),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((edits) =>
    edits.reduce((text, { at, length, insert }) => text.slice(0, at) + insert + text.slice(at + length), sample),
  );

test("no text makes the reader throw, and every problem has its place in the text", async (t) => {
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      const compiled = await compile(text);
      const lines = text.replace(/^\ufeff/, "").split("\n");
      for (const problem of "problems" in compiled ? compiled.problems : compiled.warnings) {
        const line = lines[problem.line - 1];
        if (line === undefined || problem.column < 1 || problem.column > line.length + 1) return false;
        if (problem.textColumn === undefined && !line.startsWith(problem.text!.slice(0, 200))) return false;
        if (problem.length < 1 || formatProblem(problem).includes("\u001b")) return false;
      }
      return true;
    }),
    { numRuns: runs },
  );
  t.pass();
});

test("no weir.yaml makes the reader throw", async (t) => {
  const words = [
    "listen",
    "grpc",
    "address",
    "adapters",
    "memory",
    "adapter",
    "limits",
    "message",
    "1MiB",
    "5s",
    "127.0.0.1:1",
    "attributes",
    "a.b",
    "string",
    "check",
    "validFor",
  ];
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(...words),
      fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string()),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie("value"), { maxKeys: 5 }),
    ),
  })).value;
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...words), value), async (config) => {
      await compilePolicies({
        config: { path: "weir.yaml", text: stringify(config) },
        files: [],
        adapters,
        folder: "/",
      });
    }),
    { numRuns: runs },
  );
  t.pass();
});

/** The value of the only key of a document. */
function onlyValue(text: string): ScalarNode | undefined {
  const problems = new Problems();
  const [document] = readYaml(sourceOf("a.yaml", text), problems);
  const value: Node | undefined = document?.kind === "map" ? document.entries[0]?.value : undefined;
  return problems.errors === 0 && value?.kind === "scalar" ? value : undefined;
}

test("each visible character of a text is found where it is written, however it is written", (t) => {
  const written = fc.tuple(
    fc.constantFrom("PLAIN", "QUOTE_SINGLE", "QUOTE_DOUBLE", "BLOCK_LITERAL", "BLOCK_FOLDED"),
    fc.array(fc.constantFrom("a", "b1", "==", '"x"', "'y'", "\\", " ", "  ", "\n", "\t", "ž", "🐎", "&&"), {
      minLength: 1,
      maxLength: 30,
    }),
    fc.constantFrom(20, 0),
  );
  let compared = 0;
  fc.assert(
    fc.property(written, ([type, parts, lineWidth]) => {
      const value = parts.join("");
      const text = stringify({ key: value }, { defaultStringType: type as "PLAIN", lineWidth, minContentWidth: 0 });
      const scalar = onlyValue(text);
      if (scalar === undefined) return;
      for (let i = 0; i < scalar.text.length; i++) {
        const character = scalar.text[i]!;
        if (/\s/.test(character)) continue;
        const { start, end } = scalarRange(text, scalar, i, 1);
        const there = text.slice(start, end);
        compared++;
        if (there === character || there === `\\${character}` || (there === `''` && character === "'")) continue;
        throw new Error(`${JSON.stringify(character)} at ${i} was found as ${JSON.stringify(there)}`);
      }
    }),
    { numRuns: runs },
  );
  t.true(compared > runs);
});

test("a rate that is written is the rate that is read", (t) => {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000_000_000 }),
      fc.integer({ min: 1, max: 366 }),
      fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])),
      (amount, count, unit) => {
        const windowMs = count * units[unit];
        t.deepEqual(parseRate(`${amount}/${count}${unit}`), { value: { amount, windowMs } });
        t.deepEqual(parseRate(`${amount}/${unit}`), { value: { amount, windowMs: units[unit] } });
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
});

test("sizes are read and shown", (t) => {
  for (const [text, bytes] of [
    ["1MiB", 1_048_576],
    ["64KiB", 65_536],
    ["1 GiB", 1_073_741_824],
    ["1500", 1500],
    ["7B", 7],
  ] as const) {
    t.deepEqual(parseSize(text, 0, 2 ** 40), { value: bytes });
    t.deepEqual(parseSize(formatSize(bytes), 0, 2 ** 40), { value: bytes });
  }
  for (const text of ["", "MiB", "-1", "1.5MiB", "0x10"]) t.is(parseSize(text, 0, 2 ** 40), undefined, text);
});
