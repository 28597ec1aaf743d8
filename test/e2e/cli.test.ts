import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { metric } from "./clients.ts";
import { runWeir, startHub, writeFolder, type Hub } from "./hub.ts";

const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    message: acl answers only web
---
policy: keys
match: destination.service.name == "keys"
check:
  - name: tenant
    deny: unauthenticated
    when: '"x-tenant" in request.headers && request.headers["x-tenant"] != tenant.name'
---
policy: limits
match: destination.service.name == "limits"
check:
  - name: hourly
    limit: 10/h
    by: { who: source.principal }
---
policy: counted
report:
  - metric: test_requests_total
    type: counter
    labels: { path: request.path, code: response.code }
`;

let hub: Hub;

test.before(async () => {
  hub = await startHub({
    "weir.yaml": "policies: ./policies\nattributes: { tenant.name: string }\n",
    "policies/all.yaml": policies,
  });
});

test.after.always(() => hub?.dispose());

async function folderFor(t: ExecutionContext, files: Record<string, string>): Promise<string> {
  const folder = await writeFolder(files);
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const check = (...args: string[]) => runWeir(["check", "--address", hub.grpc, ...args]);

test("check prints an allowed decision, what it rests on and how long it may be kept: status 0", async (t) => {
  for (const door of ["stream", "mixer"]) {
    const { code, stdout, stderr } = await check(
      "destination.service.name=acl",
      "source.namespace=web",
      "source.ip=10.0.0.1",
      "--door",
      door,
    );
    t.is(code, 0);
    t.is(stderr, "");
    t.regex(stdout, /^allowed\n/);
    t.regex(stdout, /^referenced +destination\.service\.name, source\.namespace$/m);
    t.regex(stdout, /^valid +5 s, 10000 uses$/m);
  }
});

test("check prints a refusal with its rule: status 2", async (t) => {
  const { code, stdout } = await check("destination.service.name=acl");
  t.is(code, 2);
  t.regex(stdout, /^refused +permission_denied: acl answers only web\nrules +acl\/only-web\n/);
  t.regex(stdout, /^referenced .*-source\.namespace/m);
  t.regex(stdout, /^decision +[0-9a-f]{32} by policies [0-9a-f]+$/m);
});

test("check takes entries of maps and words of one's own", async (t) => {
  const args = ["destination.service.name=keys", "request.headers[x-tenant]=a=b"];
  t.is((await check(...args, "tenant.name:string=a=b")).code, 0);
  const { code, stdout } = await check(...args, "tenant.name:string=c", "--json");
  t.is(code, 2);
  const answer = JSON.parse(stdout);
  t.like(answer, { allowed: false, code: "unauthenticated", rules: ["keys/tenant"] });
  t.true(answer.referenced.includes("tenant.name"));
});

test("check takes quotas by name and amount, and repeats with latency percentiles", async (t) => {
  const args = ["destination.service.name=limits", "source.principal=ann"];
  const first = await check(...args, "--quota", "hourly=8");
  t.is(first.code, 0);
  t.regex(first.stdout, /^quota +hourly: 8 granted for [\d.]+ s$/m);
  const second = await check(...args, "--quota", "hourly=8");
  t.is(second.code, 2);
  t.regex(second.stdout, /^quota +hourly: 0 granted, resource_exhausted: /m);
  t.regex((await check(...args, "--quota", "hourly=8", "--best-effort")).stdout, /hourly: 2 granted/);

  const bob = ["destination.service.name=limits", "source.principal=bob", "--repeat", "30", "--concurrency", "10"];
  const many = await check(...bob);
  t.is(many.code, 2);
  t.regex(many.stdout, /^checks +30: 10 allowed, 20 refused, 0 failed$/m);
  t.regex(many.stdout, /^latency +p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms$/m);
  const json = JSON.parse((await check(...bob, "--json")).stdout);
  t.like(json.counts, { checks: 30, allowed: 0, refused: 30, failed: 0 });
  t.deepEqual(Object.keys(json.latency), ["p50", "p90", "p99", "max"]);
  t.true(json.latency.p50 > 0 && json.latency.p50 <= json.latency.max);
});

const faults: readonly { title: string; args: readonly string[]; says: RegExp }[] = [
  {
    title: "a hub that is not there",
    args: ["--address", "127.0.0.1:1"],
    says: /cannot call the hub at 127\.0\.0\.1:1/,
  },
  { title: "an unknown attribute", args: ["request.pth=/"], says: /did you mean "request\.path"\?/ },
  { title: "a value of another type", args: ["source.ip=10.0.0"], says: /expected a value of type ip for source\.ip/ },
  { title: "no name=value", args: ["source.ip"], says: /expected name=value/ },
  { title: "a bad quota", args: ["--quota", "hourly=-1"], says: /expected name=amount/ },
  { title: "a bad count", args: ["--repeat", "0"], says: /whole number from 1/ },
  { title: "an unknown option", args: ["--quotas", "x=1"], says: /Did you mean --quota\?/ },
];

for (const { title, args, says } of faults) {
  test(`check of ${title}: status 1, with the reason on standard error`, async (t) => {
    const { code, stdout, stderr } = await runWeir(["check", ...args]);
    t.is(code, 1);
    t.is(stdout, "");
    t.regex(stderr, says);
  });
}

test("a listener that is another one than the command asks is told so", async (t) => {
  for (const [args, says] of [
    [["check", "--address", hub.http], "it does not speak gRPC there; is this its gRPC listener?"],
    [["check", "--address", hub.grpc, "--tls"], "it does not speak TLS there"],
    [["why", "--admin", hub.grpc], "it does not speak HTTP/1.1 there; is this its admin listener?"],
    [["why", "--admin", hub.http], "answered 404: is it the admin listener of a hub?"],
    [["limits", "--admin", hub.http, "limits/hourly"], "answered 404: is it the admin listener of a hub?"],
    [["why", "--admin", hub.admin, "--tls"], "it does not speak TLS there"],
  ] as const) {
    const { code, stderr } = await runWeir(args);
    t.is(code, 1);
    t.true(stderr.endsWith(`${says}\n`), stderr);
  }
});

test("a folder of policies without its option is told which option", async (t) => {
  for (const command of ["validate", "serve"]) {
    const { code, stderr } = await runWeir([command, "policies"]);
    t.is(code, 1);
    t.true(stderr.startsWith(`error: too many arguments for '${command}'`), stderr);
    t.regex(stderr, /\n\(--policies FOLDER says where the policies are/);
  }
});

test("report sends records, which are then counted", async (t) => {
  const args = ["report", "--address", hub.grpc, "request.path=/cli", "response.code=201"];
  const one = await runWeir(args);
  t.is(one.code, 0);
  t.is(one.stdout, "taken       1\n");
  const many = await runWeir([...args, "--repeat", "250", "--batch", "100", "--concurrency", "3", "--json"]);
  t.is(many.code, 0);
  t.like(JSON.parse(many.stdout), { taken: 250, not_taken: 0 });
  t.is(await metric(hub, "test_requests_total", { path: "/cli", code: "201" }), 251);
  const away = await runWeir(["report", "--address", "127.0.0.1:1", "request.path=/"]);
  t.is(away.code, 1);
  t.regex(away.stderr, /cannot call the hub/);
});

test("validate of good files says how many: status 0, as text and as JSON", async (t) => {
  const folder = await folderFor(t, { "policies/a.yaml": policies.replace("tenant.name", "request.path") });
  const text = await runWeir(["validate"], { cwd: folder });
  t.is(text.code, 0);
  t.regex(text.stdout, /^4 policies with 4 rules are fine/);
  const json = await runWeir(["validate", "--policies", join(folder, "policies"), "--json"]);
  t.is(json.code, 0);
  t.like(JSON.parse(json.stdout), { ok: true, policies: 4, rules: 4 });
});

/** A mistake of each kind that the reader of files knows, and what is said of it. */
const mistakes: Record<string, readonly [text: string, says: RegExp]> = {
  "policies/key.yaml": [
    "policy: key\ncheck:\n  - name: a\n    deny: permission_denied\n    unles: true\n",
    /key\.yaml:5:5: error\[WEIR_POLICY_UNKNOWN_KEY\]: unknown key "unles"\n +\|\n5 \| +unles: true\n +\| +\^{5}\n +=.*did you mean "unless"\?/,
  ],
  "policies/attribute.yaml": [
    "policy: attribute\ncheck:\n  - name: a\n    deny: permission_denied\n    unless: source.namspace == 'x'\n",
    /attribute\.yaml:5:13: error\[WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE\].*source\.namspace[^]*?did you mean "source\.namespace"\?/,
  ],
  "policies/type.yaml": [
    "policy: type\ncheck:\n  - name: a\n    deny: permission_denied\n    unless: source.namespace == 5\n",
    /type\.yaml:5:\d+: error\[WEIR_EXPRESSION_TYPE\][^]*?\^/,
  ],
  "policies/adapter.yaml": [
    "policy: adapter\ncheck:\n  - name: a\n    ask: partner\n    with: { value: source.namespace }\n",
    /adapter\.yaml:4:10: error\[WEIR_POLICY_UNKNOWN_ADAPTER\][^]*?did you mean "partners"\?/,
  ],
  "policies/capability.yaml": [
    "policy: capability\ncheck:\n  - name: a\n    ask: prometheus\n",
    /capability\.yaml:4:10: error\[WEIR_POLICY_CAPABILITY\][^]*?\^/,
  ],
  "policies/twice.yaml": [
    "policy: twice\ncheck:\n  - name: a\n    deny: internal\n  - name: a\n    deny: internal\n",
    /twice\.yaml:5:11: error\[WEIR_POLICY_DUPLICATE\]/,
  ],
  "policies/response.yaml": [
    "policy: response\ncheck:\n  - name: a\n    deny: internal\n    unless: response.code == 200\n",
    /response\.yaml:5:13: error\[WEIR_EXPRESSION_REPORT_ATTRIBUTE\]/,
  ],
  "policies/rate.yaml": [
    "policy: rate\ncheck:\n  - name: a\n    limit: 500 per second\n",
    /rate\.yaml:4:12: error\[WEIR_POLICY_RATE\][^]*?\^/,
  ],
  "policies/yaml.yaml": ["policy: yaml\ncheck: [\n", /yaml\.yaml:\d+:\d+: error\[WEIR_YAML_SYNTAX\][^]*?\^/],
  // A folder by the name of a file: nothing that can be read as one.
  "policies/gone.yaml/inner.txt": [
    "",
    /gone\.yaml:1:1: error\[WEIR_FILE_UNREADABLE\]: the file could not be read: a folder/,
  ],
};

test("validate shows every mistake of every file in one run, with place, line, caret and suggestion: status 1", async (t) => {
  const files = Object.fromEntries(Object.entries(mistakes).map(([name, [text]]) => [name, text]));
  const folder = await folderFor(t, {
    ...files,
    "weir.yaml": "policies: ./policies\nadapters: { partners: { adapter: list, entries: [a] } }\n",
  });
  const { code, stdout, stderr } = await runWeir(["validate"], { cwd: folder });
  t.is(code, 1);
  t.is(stdout, "");
  for (const [name, [, says]] of Object.entries(mistakes)) t.regex(stderr, says, name);
  t.regex(stderr, /\n10 mistakes\n$/);
  const json = await runWeir(["validate", "--json"], { cwd: folder });
  t.is(json.code, 1);
  t.is(json.stderr, "");
  const { ok, problems } = JSON.parse(json.stdout);
  t.false(ok);
  t.is(problems.length, 10);
  const key = problems.find(({ code: found }: any) => found === "WEIR_POLICY_UNKNOWN_KEY");
  t.like(key, { file: "policies/key.yaml", line: 5, column: 5, length: 5, severity: "error" });
});

test("a file and a configuration that are not there are mistakes too", async (t) => {
  const folder = await folderFor(t, { "policies/readme.txt": "" });
  const { code, stderr } = await runWeir(["validate", "--config", "none.yaml"], { cwd: folder });
  t.is(code, 1);
  t.regex(stderr, /none\.yaml:1:1: error\[WEIR_FILE_UNREADABLE\]/);
  const away = await runWeir(["validate", "--policies", "nowhere"], { cwd: folder });
  t.is(away.code, 1);
  t.regex(away.stderr, /nowhere:1:1: error\[WEIR_FILE_UNREADABLE\]/);
});

const tested = {
  "policies/acl.yaml":
    policies.slice(0, policies.indexOf("---")) +
    "  - name: never\n    deny: internal\n    when: request.path == '/never'\n",
  "policies/acl.test.yaml": `policy: acl.yaml
fixtures:
  to-acl: { destination.service.name: acl, request.path: / }
cases:
  - name: web may
    given: { use: to-acl, source.namespace: web }
    expect: allow
  - name: others may not
    given: { use: to-acl }
    expect: { deny: permission_denied, by: only-web }
`,
  "policies/limit.yaml": "policy: limit\ncheck:\n  - name: two\n    limit: 2/s\n",
  "policies/limit.test.yaml":
    "policy: limit.yaml\ncases:\n  - name: two a second\n    steps:\n      - { times: 2, expect: allow }\n      - expect: { deny: resource_exhausted, by: two }\n      - { after: 1s, times: 2, expect: allow }\n",
};

test("test runs what lies beside policies, as text, JSON and JUnit, and names rules that no case reached: status 0", async (t) => {
  const folder = await folderFor(t, tested);
  const text = await runWeir(["test"], { cwd: folder });
  t.is(text.code, 0);
  t.regex(text.stdout, /^policies\/acl\.test\.yaml\n {2}✔ web may\n {2}✔ others may not\n/);
  t.regex(text.stdout, /acl\/never/);
  t.regex(text.stdout, /3 passed, 0 failed/);
  const json = await runWeir(["test", "--json", "--junit", "out.xml", "policies"], { cwd: folder });
  t.is(json.code, 0);
  const run = JSON.parse(json.stdout);
  t.like(run, { ok: true, passed: 3, failed: 0 });
  t.is(run.unreached.length, 1);
  const xml = readFileSync(join(folder, "out.xml"), "utf8");
  t.regex(xml, /<testsuites[^>]* tests="3"[^>]* failures="0"/);
  t.regex(xml, /<testcase [^>]*name="two a second"/);
  t.regex((await runWeir(["test", "--run", "a second"], { cwd: folder })).stdout, /1 passed, 0 failed/);
});

test("test shows what was expected, what was found and the rules that were tried: status 1", async (t) => {
  const folder = await folderFor(t, {
    ...tested,
    "policies/acl.test.yaml": tested["policies/acl.test.yaml"].replace("expect: allow", "expect: { deny: internal }"),
  });
  const { code, stdout } = await runWeir(["test", "--junit", "out.xml", "policies/acl.test.yaml"], { cwd: folder });
  t.is(code, 1);
  t.regex(stdout, /✘ web may\n +policies\/acl\.test\.yaml:7/);
  t.regex(stdout, /expected .*deny: internal/);
  t.regex(stdout, /found +allow/);
  t.regex(stdout, /rules tried:\n +acl\/only-web/);
  t.regex(stdout, /1 passed, 1 failed/);
  t.regex(readFileSync(join(folder, "out.xml"), "utf8"), /<failure /);
});

test("test of a mistake in a test file, of nothing and of a bad pattern has a status that says so", async (t) => {
  const folder = await folderFor(t, {
    ...tested,
    "policies/limit.test.yaml": tested["policies/limit.test.yaml"].replace("times", "tmies"),
  });
  const wrong = await runWeir(["test"], { cwd: folder });
  t.is(wrong.code, 1);
  t.regex(wrong.stdout + wrong.stderr, /limit\.test\.yaml:5:11: error[^]*did you mean "times"\?/);
  for (const args of [["nowhere"], ["--run", "("], ["--run", "no such case", "policies/acl.test.yaml"]]) {
    const { code, stderr } = await runWeir(["test", ...args], { cwd: folder });
    t.is(code, 2, args.join(" "));
    t.regex(stderr, /WEIR_USAGE/);
  }
});

test("eval evaluates one expression", async (t) => {
  const good = await runWeir([
    "eval",
    'inCidr(source.ip, "10.0.0.0/8") && request.headers["x-plan"] == "gold" && !has(source.namespace)',
    "source.ip=10.1.2.3",
    "request.headers[x-plan]=gold",
  ]);
  t.is(good.code, 0);
  t.is(good.stdout, "true\ntype  bool\nread  -source.namespace, request.headers[x-plan], source.ip\n");
  const typo = await runWeir(["eval", "request.pth"]);
  t.is(typo.code, 1);
  t.regex(typo.stderr, /expression:1:1: error[^]*\^{11}[^]*did you mean "request\.path"\?/);
  const absent = await runWeir(["eval", "request.path"]);
  t.is(absent.code, 1);
  t.regex(absent.stderr, /request\.path is absent/);
});

const value = (type: string, json: unknown, referenced: string[] = []) => ({
  type,
  value: { type, value: json },
  referenced,
});

const batch: readonly { line: unknown; answer: unknown }[] = [
  {
    line: {
      expr: "a + 1",
      vocabulary: { a: "INT64" },
      attributes: { a: { type: "INT64", value: "9223372036854775806" } },
    },
    answer: value("INT64", "9223372036854775807", ["a"]),
  },
  { line: { expr: "1.5 * 2.0" }, answer: value("DOUBLE", 3) },
  {
    line: {
      expr: "has(b) ? b : m['k'] + string(m['x'].size())",
      vocabulary: { b: "STRING", m: "STRING_MAP" },
      attributes: { m: { type: "STRING_MAP", value: { k: "v", x: "four" } } },
    },
    answer: value("STRING", "v4", ["-b", "m[k]", "m[x]"]),
  },
  {
    line: {
      expr: "has(m['k'])",
      vocabulary: { m: "STRING_MAP" },
      attributes: { m: { type: "STRING_MAP", value: {} } },
    },
    answer: value("BOOL", false, ["-m[k]"]),
  },
  {
    line: {
      expr: "t + d",
      vocabulary: { t: "TIMESTAMP", d: "DURATION" },
      attributes: {
        t: { type: "TIMESTAMP", value: "2026-01-01T00:00:00Z" },
        d: { type: "DURATION", value: "1.5s" },
      },
    },
    answer: value("TIMESTAMP", "2026-01-01T00:00:01.5Z", ["d", "t"]),
  },
  {
    line: { expr: "d", vocabulary: { d: "DURATION" }, attributes: { d: { type: "DURATION", value: "1.5s" } } },
    answer: value("DURATION", "1.5s", ["d"]),
  },
  {
    line: { expr: "i", vocabulary: { i: "IP_ADDRESS" }, attributes: { i: { type: "IP_ADDRESS", value: "0a000001" } } },
    answer: value("IP_ADDRESS", "10.0.0.1", ["i"]),
  },
  {
    line: {
      expr: "i",
      vocabulary: { i: "IP_ADDRESS" },
      attributes: { i: { type: "IP_ADDRESS", value: "2001:DB8::1" } },
    },
    answer: value("IP_ADDRESS", "2001:db8::1", ["i"]),
  },
  {
    line: { expr: "b", vocabulary: { b: "BYTES" }, attributes: { b: { type: "BYTES", value: "00ff" } } },
    answer: value("BYTES", "00ff", ["b"]),
  },
  {
    line: {
      expr: "e",
      vocabulary: { e: "EMAIL_ADDRESS" },
      attributes: { e: { type: "EMAIL_ADDRESS", value: "a@b.c" } },
    },
    answer: value("EMAIL_ADDRESS", "a@b.c", ["e"]),
  },
  {
    line: { expr: "u", vocabulary: { u: "URI" }, attributes: { u: { type: "URI", value: "http://x/" } } },
    answer: value("URI", "http://x/", ["u"]),
  },
  {
    line: { expr: "n", vocabulary: { n: "DNS_NAME" }, attributes: { n: { type: "DNS_NAME", value: "a.b" } } },
    answer: value("DNS_NAME", "a.b", ["n"]),
  },
  { line: { expr: "[1, 2]" }, answer: value("LIST", [1, 2]) },
  { line: { expr: "{'a': true}" }, answer: value("MAP", { a: true }) },
  { line: { expr: "2u" }, answer: value("UINT64", "2") },
  { line: { expr: "null" }, answer: value("NULL", null) },
  { line: { expr: "type(1)" }, answer: value("TYPE", "int") },
];

const failures: readonly [line: unknown, phase: string, message: RegExp][] = [
  [{ expr: "1 +" }, "parse", /expected an operand/],
  [{ expr: "1 + true" }, "type", /./],
  [{ expr: "nope", vocabulary: {} }, "type", /nope/],
  [{ expr: "a", vocabulary: { a: "STRING" } }, "eval", /a is absent/],
  [{ expr: "1 / 0" }, "eval", /zero/],
  ["not json", "parse", /JSON/],
  [{ expr: 5 }, "parse", /expr/],
  [{ expr: "a", vocabulary: { a: "TEXT" } }, "parse", /TEXT/],
  [{ expr: "a", vocabulary: { a: "INT64" }, attributes: { a: { type: "STRING", value: "x" } } }, "eval", /type/],
];

test("eval --batch answers each line of JSON with one of its own", async (t) => {
  const lines = [...batch.map(({ line }) => line), ...failures.map(([line]) => line)];
  const input = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const { code, stdout, stderr } = await runWeir(["eval", "--batch"], { input });
  t.is(code, 0);
  t.is(stderr, "");
  const answers = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as any);
  t.is(answers.length, lines.length);
  for (const [i, { line, answer }] of batch.entries()) t.deepEqual(answers[i], answer, JSON.stringify(line));
  for (const [i, [line, phase, message]] of failures.entries()) {
    const { error } = answers[batch.length + i];
    t.is(error?.phase, phase, JSON.stringify(line));
    t.regex(error.message, message, JSON.stringify(line));
  }
});

test("schema prints the JSON Schema of policy files and of weir.yaml", async (t) => {
  const policy = JSON.parse((await runWeir(["schema"])).stdout);
  t.regex(policy.$schema, /json-schema\.org/);
  t.deepEqual(JSON.parse((await runWeir(["schema", "policy"])).stdout), policy);
  t.deepEqual(Object.keys(policy.properties ?? {}).sort(), ["check", "match", "mode", "namespace", "policy", "report"]);
  const weir = JSON.parse((await runWeir(["schema", "weir"])).stdout);
  for (const key of ["listen", "policies", "adapters", "limits"]) t.true(key in weir.properties, key);
});

test("--help of each command teaches with an example", async (t) => {
  const { code, stdout } = await runWeir(["--help"]);
  t.is(code, 0);
  const commands = [...stdout.matchAll(/^ {2}(\w+)(?: \[.*)? {2,}\S/gm)].map((found) => found[1]!);
  const own = commands.filter((name) => name !== "help");
  // Which they are, the page says (readme.test.ts).
  t.true(own.includes("serve") && own.length > 10);
  for (const name of own) {
    const help = await runWeir([name, "--help"]);
    t.is(help.code, 0);
    t.regex(help.stdout, new RegExp(`^Examples?.*:\n {2}\\$ weir ${name}`, "m"), name);
  }
});

test("an unknown command and none at all: status 1, with what was meant", async (t) => {
  const unknown = await runWeir(["chek"]);
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /unknown command 'chek'\n\(Did you mean check\?\)/);
  const none = await runWeir([]);
  t.is(none.code, 1);
  t.regex(none.stderr, /Usage: weir/);
  t.regex((await runWeir(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});
