import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import type { ExecutionContext } from "ava";
import { addTestCommand } from "../../src/cli/test.ts";
import { runCommand, type Ran } from "../cli/run-command.ts";

/** Runs `weir test` in a folder with these files. */
async function run(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[] = ["."],
): Promise<Ran & { readonly cwd: string }> {
  const cwd = mkdtempSync(join(tmpdir(), "weir-test-"));
  t.teardown(() => rmSync(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    writeFileSync(join(cwd, name), text);
  }
  return { ...(await runCommand(addTestCommand, ["test", ...args], { cwd })), cwd };
}

const ratings = `policy: ratings
match: destination.service.name == "ratings"
check:
  - name: only-reviews
    deny: permission_denied
    unless: source.namespace == "reviews"
  - name: per-path
    when: source.namespace == "reviews"
    limit: 2/s
    by: request.path
report:
  - metric: requests_total
    type: counter
    labels: { code: response.code }
`;

const good = `policy: ratings.yaml
cases:
  - name: reviews may call
    given: { destination.service.name: ratings, source.namespace: reviews }
    expect: allow
  - name: others may not
    given: { destination.service.name: ratings }
    expect: { deny: permission_denied, by: only-reviews }
  - name: it counts
    report: { destination.service.name: ratings, response.code: 200 }
    expect: { metrics: [{ name: requests_total, value: 1, labels: { code: 200 } }] }
`;

test("all cases pass: a line each, a summary, exit status 0", async (t) => {
  const { out, exitCode } = await run(t, { "ratings.yaml": ratings, "ratings.test.yaml": good });
  t.is(
    out,
    `ratings.test.yaml
  ✔ reviews may call
  ✔ others may not
  ✔ it counts

3 passed, 0 failed
`,
  );
  t.is(exitCode, 0);
});

test("a failure shows what differs, expected against found, and the rules that were tried", async (t) => {
  const { out, exitCode } = await run(t, {
    "ratings.yaml": ratings,
    "ratings.test.yaml": `cases:
  - name: anybody may call
    given: { destination.service.name: ratings, source.namespace: default }
    expect: allow
  - name: two a second
    given: { destination.service.name: ratings, source.namespace: reviews, request.path: /x }
    steps:
      - { times: 2, expect: allow }
      - { after: 1s, times: 3, expect: { allow: true, limits: { per-path: { remaining: 1 } } } }
  - name: codes are counted
    report: { destination.service.name: ratings, response.code: 503 }
    expect: { metrics: [{ name: requests_total, labels: { code: 200 } }] }
  - name: each is counted once
    report: { destination.service.name: ratings, response.code: 503 }
    expect: { metrics: [{ name: requests_total, labels: { code: 503 }, value: 2 }] }
  - name: elsewhere it does not apply
    given: { destination.service.name: details }
    expect: { deny: permission_denied, by: only-reviews }
  - name: a caller without a namespace passes
    given: { destination.service.name: ratings }
    expect: allow
`,
  });
  t.is(
    out,
    `ratings.test.yaml
  ✘ anybody may call
      ratings.test.yaml:4
      answer
        expected allow
        found    { deny: permission_denied, by: ratings/only-reviews, message: refused by ratings/only-reviews }
      rules tried:
        ratings/only-reviews  refuses
        ratings/per-path      does not apply: when is false  (source.namespace == "reviews")
  ✘ two a second
      ratings.test.yaml:9, step 2 of 2, time 2 of 3
      limits.per-path.remaining
        expected 1
        found    0
      rules tried:
        ratings/only-reviews  does not apply: unless holds  (source.namespace == "reviews")
        ratings/per-path      allows  (0 left)
  ✘ codes are counted
      ratings.test.yaml:12
      metrics.requests_total
        expected { labels: { code: 200 } }
        found    [{ code: 503 }]
      rules tried:
        ratings/requests_total  counted
  ✘ each is counted once
      ratings.test.yaml:15
      metrics.requests_total
        expected { labels: { code: 503 }, value: 2 }
        found    { labels: { code: 503 }, value: 1 }
      rules tried:
        ratings/requests_total  counted
  ✘ elsewhere it does not apply
      ratings.test.yaml:18
      answer
        expected { deny: permission_denied, by: only-reviews }
        found    allow
      rules tried:
        ratings  does not apply: match is false  (destination.service.name == "ratings")
  ✘ a caller without a namespace passes
      ratings.test.yaml:21
      answer
        expected allow
        found    { deny: permission_denied, by: ratings/only-reviews, message: refused by ratings/only-reviews }
      rules tried:
        ratings/only-reviews  refuses
        ratings/per-path      does not apply: when needs what is not there (source.namespace absent)  (source.namespace == "reviews")

0 passed, 6 failed
`,
  );
  t.is(exitCode, 1);
});

test("a rule that acts because it could not be evaluated says so", async (t) => {
  const { out } = await run(t, {
    "a.yaml": `policy: a
match: connection.mtls
check: [{ name: r, deny: aborted }]
report: [{ log: l }]
---
policy: b
check: [{ name: r, deny: aborted, when: 'int(request.headers["n"]) > 1' }]
report: [{ log: l, when: 'int(request.headers["n"]) > 1' }]
`,
    "a.test.yaml": `cases:
  - { name: check, given: { wrong_type: connection.mtls, request.headers: { n: x } }, expect: allow }
  - { name: report, given: { request.headers: { n: x } }, report: {}, expect: { logs: [{ log: l }] } }
`,
  });
  t.regex(out, /a\/r {2}refuses: match fails: .+ {2}\(connection\.mtls\)/);
  t.regex(out, /b\/r {2}refuses: when fails: .+ {2}\(int/);
  t.regex(out, /b\/l {2}does not apply: when fails: .+ {2}\(int/);
  t.regex(out, /a {4}does not apply: match needs what is not there \(connection\.mtls absent\)/);
});

test("rules that no case reached are told, over all test files together", async (t) => {
  const only = (name: string, given: string, expect: string) =>
    `policy: ratings.yaml\ncases:\n  - { name: ${name}, given: { destination.service.name: ratings, ${given} }, expect: ${expect} }\n`;
  const { out, exitCode } = await run(t, {
    "ratings.yaml": ratings,
    "a.test.yaml": only("a", "source.namespace: reviews", "allow"),
    "b.test.yaml": only("b", "source.namespace: default", "{ deny: permission_denied }"),
  });
  t.regex(out, /No case reached:\n {2}ratings\/requests_total {2}ratings.yaml:12\n\n2 passed, 0 failed\n$/);
  t.is(exitCode, 0);
});

test("--run runs the cases that match and says nothing of rules", async (t) => {
  const files = { "ratings.yaml": ratings, "ratings.test.yaml": good };
  const { out } = await run(t, files, [".", "--run", "^others"]);
  t.is(out, "ratings.test.yaml\n  ✔ others may not\n\n1 passed, 0 failed\n");
  const none = await run(t, files, [".", "--run", "nothing like it"]);
  t.is(none.exitCode, 2);
  t.regex(none.err, /WEIR_USAGE.*no case matches/);
  const broken = await run(t, files, [".", "--run", "("]);
  t.is(broken.exitCode, 2);
});

test("a path that does not exist and a folder without tests are usage errors", async (t) => {
  const missing = await run(t, {}, ["nowhere"]);
  t.is(missing.exitCode, 2);
  t.regex(missing.err, /WEIR_USAGE.*nowhere/);
  const empty = await run(t, { "ratings.yaml": ratings });
  t.is(empty.exitCode, 2);
  t.regex(empty.err, /no \*\.test\.yaml file/);
});

test("--json prints one object with everything", async (t) => {
  const { out, exitCode } = await run(
    t,
    { "ratings.yaml": ratings, "ratings.test.yaml": good.replace("expect: allow", "expect: { deny: not_found }") },
    [".", "--json"],
  );
  const run1 = JSON.parse(out) as {
    ok: boolean;
    passed: number;
    failed: number;
    unreached: unknown[];
    files: { file: string; cases: { name: string; failure?: { differences: unknown[]; tried: unknown[] } }[] }[];
  };
  t.is(exitCode, 1);
  t.like(run1, { ok: false, passed: 2, failed: 1 });
  t.is(run1.files[0]!.file, "ratings.test.yaml");
  const [failed, passed] = run1.files[0]!.cases;
  t.deepEqual(failed!.failure!.differences, [{ what: "answer", expected: { deny: "not_found" }, found: "allow" }]);
  t.is(failed!.failure!.tried.length, 2);
  t.is(passed!.failure, undefined);
});

test("--junit writes the outcome as XML beside the text", async (t) => {
  const { cwd, out } = await run(
    t,
    {
      "ratings.yaml": ratings,
      "ratings.test.yaml": good
        .replace("others may not", '"others & <all> may not"')
        .replace("expect: allow", "expect: { deny: not_found }"),
      "z.test.yaml": "cases: []\nnonsense: 1\n",
    },
    [".", "--junit", "results.xml"],
  );
  t.regex(out, /2 passed, 1 failed, 1 file not run/);
  const xml = readFileSync(join(cwd, "results.xml"), "utf8");
  t.regex(xml, /<testsuites name="weir test" tests="4" failures="1" errors="1">/);
  t.regex(xml, /<testsuite name="ratings.test.yaml" tests="3" failures="1" errors="0" /);
  t.regex(xml, /<testcase name="others &amp; &lt;all&gt; may not" classname="ratings.test.yaml" time="0\.\d{3}"\/>/);
  t.regex(xml, /<failure message="answer">ratings.test.yaml:5&#10;answer&#10; {2}expected \{ deny: not_found \}/);
  t.regex(xml, /<error message="unknown key &quot;nonsense&quot;">/);
});

test("a mistake in the test file or in a policy is shown with its place, and nothing of the file runs", async (t) => {
  const { out, exitCode } = await run(t, {
    "ratings.yaml": ratings,
    "a.test.yaml": good.replace("source.namespace: reviews", "sorce.namespace: reviews"),
    "b.test.yaml": "policy: broken.yaml\ncases: [{ name: b, expect: allow }]\n",
    "broken.yaml": "policy: broken\ncheck: [{ name: a, dney: not_found }]\n",
    "c.test.yaml": "policy: gone.yaml\ncases: [{ name: c, expect: allow }]\n",
  });
  t.is(exitCode, 1);
  t.regex(
    out,
    /a\.test\.yaml:4:49: error\[WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE\]: there is no attribute "sorce.namespace"/,
  );
  t.regex(out, /did you mean "source.namespace"\?/);
  t.regex(out, /broken\.yaml:2:20: error\[WEIR_POLICY_UNKNOWN_KEY\]/);
  t.regex(out, /c\.test\.yaml:1:9: error\[WEIR_FILE_UNREADABLE\].*no such file/);
  t.regex(out, /0 passed, 0 failed, 3 files not run/);
});

test("without policy the whole folder is tested, with the nearest weir.yaml upward", async (t) => {
  const { out, exitCode } = await run(
    t,
    {
      "weir.yaml": "attributes: { tenant.plan: string }\npolicies: policies\n",
      "policies/a.yaml": 'policy: a\ncheck: [{ name: r, deny: not_found, when: tenant.plan == "none" }]\n',
      "policies/deep/b.yaml": 'policy: b\ncheck: [{ name: r, deny: aborted, when: tenant.plan == "none" }]\n',
      "policies/all.test.yaml":
        "cases: [{ name: both, given: { tenant.plan: none }, expect: { deny: not_found, rules: [a/r, b/r] } }]\n",
    },
    [],
  );
  t.is(exitCode, 0, out);
});

const asks = `policy: asks
check:
  - { name: host, ask: partners, with: { value: request.host } }
`;
const url = 'adapters: { partners: { adapter: list, url: "https://partners.invalid/list" } }\n';

test("an adapter that calls out is never called: the test has to say what it answers", async (t) => {
  const { out, exitCode } = await run(t, {
    "weir.yaml": url,
    "asks.yaml": asks,
    "asks.test.yaml": "cases: [{ name: a, given: { request.host: a }, expect: { deny: unavailable } }]\n",
  });
  t.is(exitCode, 1);
  t.regex(out, /adapters\.partners\n +expected .*tests do not call out"?\n +found +nothing/);
});

test("answers of adapters: by input, of a case over those of the file, of a step over those of the case", async (t) => {
  const { out, exitCode } = await run(t, {
    "weir.yaml": url,
    "asks.yaml": asks,
    "asks.test.yaml": `adapters: { partners: { answer: deny, for: [{ input: { value: good }, answer: allow }] } }
cases:
  - name: of the file
    steps:
      - { given: { request.host: bad }, expect: { deny: permission_denied } }
      - { given: { request.host: good }, expect: allow }
  - name: of the case
    adapters: { partners: { answer: { deny: not_found, message: unknown } } }
    steps:
      - { given: { request.host: good }, expect: { deny: not_found, message: unknown } }
      - { given: { request.host: good }, adapters: { partners: { answer: allow } }, expect: allow }
      - { given: { request.host: good }, adapters: { partners: { answer: error } }, expect: { deny: unavailable } }
  - name: falls back where a case answers only for some
    adapters: { partners: { for: [{ input: { value: odd }, answer: { deny: aborted } }] } }
    steps:
      - { given: { request.host: odd }, expect: { deny: aborted } }
      - { given: { request.host: good }, expect: allow }
  - name: time-outs pass on the virtual clock
    adapters: { partners: { answer: timeout } }
    steps: [{ given: { request.host: good }, times: 3, expect: { deny: unavailable } }]
`,
  });
  t.is(exitCode, 0, out);
});

test("a list in a file works as it stands, from the folder of weir.yaml", async (t) => {
  const { out, exitCode } = await run(t, {
    "weir.yaml": "adapters: { partners: { adapter: list, file: lists/partners.txt } }\n",
    "lists/partners.txt": "good\n",
    "policies/asks.yaml": asks,
    "policies/asks.test.yaml": `policy: asks.yaml
cases:
  - { name: listed, given: { request.host: good }, expect: allow }
  - { name: not listed, given: { request.host: bad }, expect: { deny: permission_denied } }
  - name: overridden
    given: { request.host: bad }
    adapters: { partners: { answer: allow } }
    expect: allow
`,
  });
  t.is(exitCode, 0, out);
});

test("a list whose file is not there fails the case and says why", async (t) => {
  const { out, exitCode } = await run(t, {
    "weir.yaml": "adapters: { partners: { adapter: list, file: gone.txt } }\n",
    "asks.yaml": asks,
    "asks.test.yaml": "cases: [{ name: a, given: { request.host: a }, expect: allow }]\n",
  });
  t.is(exitCode, 1);
  t.regex(out, /start\n +expected the adapters start\n +found +".*gone\.txt/);
});

test("an adapter of one's own is not made unless the test asks for it", async (t) => {
  const adapter = `export default {
  name: "own", provides: ["check"], input: { value: "string" },
  config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } },
  create: () => { globalThis.ownMade = (globalThis.ownMade ?? 0) + 1; return { check: async ({ value }) => ({ allow: value === "good" }) }; },
};
`;
  const { out, exitCode } = await run(t, {
    "weir.yaml": "adapters: { partners: { adapter: ./own.mjs } }\n",
    "own.mjs": adapter,
    "asks.yaml": asks,
    "asks.test.yaml": `cases:
  - name: stood in for
    given: { request.host: good }
    adapters: { partners: { answer: deny } }
    expect: { deny: permission_denied }
  - name: real
    adapters: { partners: { answer: real } }
    steps:
      - { given: { request.host: good }, expect: allow }
      - { given: { request.host: bad }, expect: { deny: permission_denied } }
`,
  });
  t.is(exitCode, 0, out);
  t.is((globalThis as { ownMade?: number }).ownMade, 1);
});

test("answers for adapters that there are not, or that are never asked, are mistakes", async (t) => {
  const { out, exitCode } = await run(t, {
    "weir.yaml": url,
    "asks.yaml": asks,
    "asks.test.yaml": `adapters: { partner: { answer: allow }, prometheus: { answer: allow } }
cases: [{ name: a, expect: allow }]
`,
  });
  t.is(exitCode, 1);
  t.regex(out, /asks\.test\.yaml:1:13: error\[WEIR_POLICY_UNKNOWN_ADAPTER\][^]*did you mean "partners"/);
  t.regex(out, /asks\.test\.yaml:1:41: error\[WEIR_POLICY_CAPABILITY\][^]*takes metrics/);
});

test("every case starts with fresh counts and its clock at the start", async (t) => {
  const { out, exitCode } = await run(t, {
    "a.yaml":
      'policy: a\ncheck: [{ name: r, limit: 1/h }, { name: t, deny: aborted, when: request.time < timestamp("2030-01-01T00:00:00Z") }]\n',
    "a.test.yaml": `start: 2031-05-06T07:08:09Z
cases:
  - { name: first, expect: allow }
  - { name: second, expect: allow }
`,
  });
  t.is(exitCode, 0, out);
});

test("text of a test file does not steer the terminal", async (t) => {
  const { out } = await run(t, {
    "ratings.yaml": ratings,
    "ratings.test.yaml":
      'policy: ratings.yaml\ncases: [{ name: "a\\e[31mb", expect: { deny: not_found, message: "\\e[2J" } }]\n',
  });
  t.false(out.includes("\u001b"));
  t.true(out.includes("a\ufffd[31mb"));
});
