import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import test from "ava";
import { addCheckCommand } from "../../src/cli/check.ts";
import { addWhyCommand } from "../../src/cli/why.ts";
import { RateLimitRequest } from "../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { runCommand } from "../cli/run-command.ts";
import { descriptor } from "../wire/envoy/descriptor.ts";
import { connect, hubFor, post, unary } from "./clients.ts";
import { askers } from "./door-askers.ts";
import type { Hub } from "./hub.ts";

const policies = `
policy: acl
check:
  - { name: keys, deny: permission_denied, unless: 'request.headers["authorization"] == "Bearer good"', message: not you }
  - { name: users, limit: 1/d, by: 'request.headers["x-user"]' }
---
policy: edge
check:
  - { name: per-user, limit: 1/d, by: 'ratelimit.descriptor["user"]' }
`;

const config = `
adapters:
  audit: { adapter: log, to: audit.log }
telemetry:
  decisions: { to: audit }
`;

interface Logged {
  readonly door: string;
  readonly allowed: boolean;
  readonly rules: readonly string[];
  readonly attributes: any;
  readonly took_ms: number;
  readonly adapters?: readonly { readonly adapter: string; readonly capability: string; readonly took_ms: number }[];
  readonly limits?: readonly { readonly rule: string; readonly remaining: number }[];
}

/** The decisions that were logged, once there are so many. */
async function logged(hub: Hub, count: number): Promise<Logged[]> {
  for (;;) {
    const text = await readFile(join(hub.folder, "audit.log"), "utf8").catch(() => "");
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length >= count) return lines.map((line) => JSON.parse(line) as Logged);
    await pause(20);
  }
}

for (const [door, ask] of Object.entries(askers)) {
  test(`decisions at the door ${door} are logged with what they rest on, secrets masked`, async (t) => {
    const hub = await hubFor(t, { "policies/acl.yaml": policies, "weir.yaml": config });
    const headers = { "x-user": "ann", authorization: "Bearer good" };
    await ask(hub, { "request.headers": headers });
    await ask(hub, { "request.headers": { "x-user": "ann", authorization: "Bearer bad" } });
    await ask(hub, { "request.headers": headers });
    const entries = await logged(hub, 3);
    t.deepEqual(
      entries.map(({ allowed, rules, attributes }) => [allowed, rules, attributes["request.headers"]]),
      [
        [true, [], { "x-user": "ann", authorization: "***" }],
        [false, ["acl/keys"], { authorization: "***" }],
        [false, ["acl/users"], { "x-user": "ann", authorization: "***" }],
      ],
    );
    t.true(entries.every(({ door: said, took_ms }) => said === door.toLowerCase() && took_ms >= 0));
    t.like(entries[0]!.adapters, [{ adapter: "memory", capability: "quota" }]);
    t.is(entries[1]!.adapters, undefined);
    t.like(entries[0]!.limits, [{ rule: "acl/users", remaining: 0 }]);
  });
}

test("decisions at the rate limit door say what each descriptor rests on", async (t) => {
  const hub = await hubFor(t, { "policies/acl.yaml": policies, "weir.yaml": config });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const message = RateLimitRequest.encode({
    domain: "edge",
    hitsAddend: 0,
    descriptors: [descriptor({ user: "ann" }), descriptor({ other: "x" })],
  }).finish();
  for (let i = 0; i < 2; i++)
    await unary(client, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", message);
  const entries = await logged(hub, 2);
  t.deepEqual(
    entries.map(({ door, rules, attributes }) => [door, rules, attributes[0]["ratelimit.descriptor"]]),
    [
      ["ratelimit", [], { user: "ann" }],
      ["ratelimit", ["edge/per-user"], { user: "ann" }],
    ],
  );
});

test("weir why shows the last refusals, by rule and by id, without a log of decisions", async (t) => {
  const hub = await hubFor(t, { "policies/acl.yaml": policies });
  const check = (authorization: string) =>
    post(hub, "/v1/check", { attributes: { "request.headers": { "x-user": "a\u001B[2J\u202E", authorization } } });
  await check("Bearer good");
  await check("Bearer good");
  const { json } = await check("Bearer bad");
  const why = (...args: string[]) => runCommand(addWhyCommand, ["why", "--admin", hub.admin, ...args]);
  const { out } = await why(json.id);
  t.regex(
    out,
    new RegExp(`^\\S+  ${json.id}  door http from 127\\.0\\.0\\.1\\n    refused     permission_denied: not you\\n`),
  );
  t.true(out.includes('    read        request.headers[authorization] = "***"\n'), out);
  const limited = (await why("--rule", "acl/users")).out;
  t.regex(
    limited,
    /refused {5}resource_exhausted: .*\n {4}rules {7}acl\/users\n {4}limit {7}acl\/users: whole again in \d+/,
  );
  for (const unit of ["\u001B", "\u202E"]) t.false(limited.includes(unit), limited);
  t.is((await why("--rule", "acl", "--json")).out.split("\n").length, 3);
  const none = await why("f".repeat(32));
  t.is(none.err, `no such refusal among the last 2 that ${hub.admin} keeps\n`);
  t.is(none.exitCode, 1);
});

test("weir check and weir why say which limits were judged without their store", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": 'adapters: { redis: { url: "redis://127.0.0.1:1" } }\n',
    "policies/p.yaml": `
policy: p
check:
  - { name: strict, limit: 1/d, via: redis, onError: deny, when: request.path == "/strict" }
  - { name: local, limit: 1/d, via: redis, onError: local, unless: request.path == "/strict" }
`,
  });
  const check = (path: string) =>
    runCommand(addCheckCommand, ["check", "--address", hub.grpc, `request.path=${path}`, "--json"]);
  const text = (path: string) => runCommand(addCheckCommand, ["check", "--address", hub.grpc, `request.path=${path}`]);
  t.deepEqual(JSON.parse((await check("/strict")).out).degraded, ["p/strict"]);
  t.regex((await text("/strict")).out, /\nrules {7}p\/strict\ndegraded {4}p\/strict: its store did not answer\n/);
  t.regex((await text("/")).out, /^allowed\ndegraded {4}p\/local: its store did not answer\n/);
  t.false((await text("/")).out.startsWith("allowed"));
  const why = async (rule: string) =>
    (await runCommand(addWhyCommand, ["why", "--admin", hub.admin, "--rule", rule])).out;
  t.regex(await why("p/strict"), /\n {4}limit {7}p\/strict: its store did not answer\n/);
  t.regex(
    await why("p/local"),
    / {4}limit {7}p\/local: its store did not answer; by the count of this hub whole again in \d+/,
  );
});

test("an adapter that takes no logs is a mistake in weir.yaml", async (t) => {
  const started = hubFor(t, {
    "policies/acl.yaml": policies,
    "weir.yaml": "telemetry: { decisions: { to: memory } }\n",
  });
  const { message } = await t.throwsAsync(started);
  t.regex(message, /weir\.yaml:1:31: error\[WEIR_POLICY_CAPABILITY\]: the adapter "memory" takes no logs/);
});
