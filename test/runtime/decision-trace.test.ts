import test from "ava";
import { z } from "zod";
import { defineAdapter, type Span } from "../../src/sdk/index.ts";
import type { Asked, Decision } from "../../src/runtime/decision.ts";
import { world } from "./world.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";
const other = "1".repeat(32);

const traces = defineAdapter({
  name: "traces",
  provides: ["spans"],
  config: z.strictObject({}),
  create: () => ({ spans: () => undefined }),
});
const partners = defineAdapter({
  name: "partners",
  provides: ["check"],
  input: { value: "string" },
  config: z.strictObject({}),
  create: () => ({
    async check({ value }) {
      if (value === "broken") throw new Error("broken");
      return value === "acme" ? { allow: true } : { allow: false };
    },
  }),
});

const policies = `
policy: p
check:
  - { name: no-admin, deny: permission_denied, when: request.path == "/admin" }
  - { name: partner, ask: partners, with: { value: 'request.headers["x-partner"]' }, when: 'has(request.headers["x-partner"])' }
  - { name: all, limit: 2/d }
---
policy: edge
check:
  - { name: key, limit: 1/d, when: ratelimit.domain == "edge" }
`;

async function hub(settings: string) {
  const spans: Span[] = [];
  const config = `adapters: { traces: {}, partners: {} }\ntelemetry: { ${settings} }\n`;
  const made = await world(policies, [traces, partners], { config, trace: (_, each) => void spans.push(each) });
  const check = async (attributes: Record<string, unknown>, asked: Asked = {}): Promise<Decision> =>
    made.runtime.acquire().check(made.bag(attributes), asked);
  return { ...made, spans, check };
}

const carrier = (headers: Record<string, string>) => ({ header: (name: string) => headers[name] });
const sampled = carrier({ traceparent: `00-${trace}-${span}-01` });

/** Each span as its name, its kind and the name of the one above it. */
function tree(spans: readonly Span[]): string[] {
  const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
  return spans.map(({ name, kind, parentId }) => `${name} (${kind}) < ${names.get(parentId ?? "") ?? parentId ?? "-"}`);
}

test("the spans of a decision join the caller's trace: the whole, its parts, and each call to an adapter", async (t) => {
  const { spans, check, clock } = await hub("traces: { to: traces }");
  const began = clock.now();
  const decision = await check({ "request.headers": { "x-partner": "acme" } }, { carrier: sampled });
  t.true(decision.allowed);
  t.deepEqual(tree(spans), [
    "partners check (client) < rules",
    "memory quota (client) < limits",
    "rules (internal) < check",
    "limits (internal) < check",
    `check (server) < ${span}`,
  ]);
  t.true(spans.every(({ traceId, failed, service }) => traceId === trace && !failed && service.name === "weir"));
  t.true(spans.every(({ startMs, endMs }) => startMs >= began && endMs >= startMs));
  t.is(new Set(spans.map(({ spanId }) => spanId)).size, 5);
  t.deepEqual(spans.at(-1)!.attributes, {
    "weir.decision_id": decision.id,
    "weir.policy_version": decision.version,
    "weir.allowed": true,
    "weir.code": 0,
  });
});

test("a refusal is an answer that names its rules; an adapter that fails has failed, and so has a hub that cannot judge", async (t) => {
  const { spans, check } = await hub("traces: { to: traces }");
  await check({ "request.path": "/admin" }, { carrier: sampled });
  t.like(spans.at(-1), {
    name: "check",
    failed: false,
    attributes: { "weir.allowed": false, "weir.rules": ["p/no-admin"] },
  });
  spans.length = 0;
  await check({ "request.headers": { "x-partner": "broken" } }, { carrier: sampled });
  t.like(spans[0], { name: "partners check", failed: true, message: "fault" });
  t.like(spans.at(-1), { name: "check", failed: true, attributes: { "weir.code": 14 } });
});

test("the context of the call counts before that of the request, and without either a share begins traces", async (t) => {
  const { spans, check } = await hub("traces: { to: traces, ratio: 1 }");
  const headers = { "request.headers": { b3: `${other}-${span}-1` } };
  await check(headers, { carrier: sampled });
  t.is(spans.at(-1)!.traceId, trace);
  await check(headers, { carrier: carrier({}) });
  t.deepEqual([spans.at(-1)!.traceId, spans.at(-1)!.parentId], [other, span]);
  await check({});
  t.regex(spans.at(-1)!.traceId, /^[0-9a-f]{32}$/);
  t.is(spans.at(-1)!.parentId, undefined);
});

test("which decisions are traced: those whose caller wants it, else a share, and no more than so many a second", async (t) => {
  const unsampled = carrier({ traceparent: `00-${trace}-${span}-00` });
  const { spans, check, told } = await hub("traces: { to: traces, ratio: 0, perSecond: 2 }");
  await check({}, { carrier: unsampled });
  await check({});
  t.deepEqual(spans, []);
  for (let i = 0; i < 4; i++) await check({ "request.path": "/admin" }, { carrier: sampled });
  t.is(spans.filter(({ name }) => name === "check").length, 2);
  t.is(told.filter((line) => line === "dropped span rate 1").length, 2, told.join("\n"));
  const all = await hub("traces: { to: traces, ratio: 1, follow: false }");
  await all.check({}, { carrier: unsampled });
  t.is(all.spans.at(-1)!.traceId, trace);
});

test("reading the trace context leaves no trace in what an answer depends on", async (t) => {
  const { check } = await hub("traces: { to: traces, ratio: 1 }");
  const traced = await check({ "request.headers": { traceparent: `00-${trace}-${span}-01` } });
  const plain = await (await hub("")).check({});
  t.deepEqual(
    [...traced.reads.slots].filter((bits) => bits !== 0).length,
    [...plain.reads.slots].filter((bits) => bits !== 0).length,
  );
  t.deepEqual(traced.reads.dynamic, []);
});

test("a request to a rate limit door is traced as well", async (t) => {
  const { spans, rateLimitNow } = await hub("traces: { to: traces }");
  const decision = rateLimitNow([[{ "ratelimit.domain": "edge" }]], { carrier: sampled });
  t.deepEqual(tree(spans), [
    "memory quota (client) < limits",
    "rules (internal) < rate limit",
    "limits (internal) < rate limit",
    `rate limit (server) < ${span}`,
  ]);
  t.is(spans.at(-1)!.attributes["weir.decision_id"], decision.id.text);
});

test("without telemetry.traces nothing is traced, whatever callers say", async (t) => {
  const { spans, check } = await hub("");
  await check({}, { carrier: sampled });
  t.deepEqual(spans, []);
});
