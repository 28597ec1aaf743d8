import test from "ava";
import type { Decision, HeaderOperation } from "../../../src/runtime/decision.ts";
import { allowed, refused } from "../grpc/fake-session.ts";
import { serveAuthz, type Asked } from "./ask.ts";

const op = (operation: HeaderOperation["operation"], name: string, value = ""): HeaderOperation => ({
  operation,
  name,
  value,
});

const original: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  nginx: [
    ["x-original-method", "GET"],
    ["x-original-uri", "/x"],
  ],
  forward: [
    ["x-forwarded-method", "GET"],
    ["x-forwarded-uri", "/x"],
  ],
  envoy: [],
};
const paths: Readonly<Record<string, string>> = {
  nginx: "/v1/authz/nginx",
  forward: "/v1/authz",
  envoy: "/v1/authz/envoy/x",
};

interface Case {
  readonly title: string;
  readonly of: "nginx" | "forward" | "envoy";
  readonly query?: string;
  readonly headers?: Asked["headers"];
  readonly decision: Decision;
  /** Headers that the answer must have, or must not: `undefined`. */
  readonly expected: Readonly<Record<string, string | undefined>>;
  readonly status?: number;
  readonly body?: string;
  readonly drops?: readonly string[];
}

const changes = allowed({
  requestHeaders: [
    op("set", "x-plan", "gold"),
    op("append", "x-tag", "b"),
    op("remove", "x-debug"),
    op("set", "x-z", "Zoë"),
  ],
});
const mine: Asked["headers"] = [
  ["x-plan", "mine"],
  ["x-tag", "a"],
  ["x-debug", "1"],
  ["x-other", "o"],
];
const zoe = Buffer.from("Zoë").toString("latin1");

const cases: readonly Case[] = [
  {
    title: "what passes says which decision it was",
    of: "forward",
    decision: allowed(),
    expected: { "x-weir-decision": allowed().id, "content-length": "0", "cache-control": "no-store" },
  },
  {
    title: "each copied header as the service is to get it",
    of: "forward",
    query: "?copy=x-plan,x-tag,x-debug,X-Other,x-none,x-z",
    headers: mine,
    decision: changes,
    expected: {
      "x-plan": "gold",
      "x-tag": "a, b",
      "x-debug": undefined,
      "x-other": "o",
      "x-none": undefined,
      "x-z": zoe,
    },
  },
  {
    title: "without copy only what a rule gives a value, and a removal is counted",
    of: "forward",
    headers: mine,
    decision: changes,
    expected: { "x-plan": "gold", "x-tag": "a, b", "x-other": undefined },
    drops: ["header not_carried 1"],
  },
  {
    title: "what copy does not name is counted",
    of: "forward",
    query: "?copy=x-plan",
    decision: changes,
    expected: { "x-plan": "gold", "x-tag": undefined },
    drops: ["header not_carried 1", "header not_carried 1", "header not_carried 1"],
  },
  {
    title: "headers of the response cannot be carried and are counted",
    of: "forward",
    decision: allowed({ responseHeaders: [op("set", "x-served", "weir")] }),
    expected: { "x-served": undefined },
    drops: ["header not_carried 1"],
  },
  {
    title: "a value that no header can hold removes the header",
    of: "forward",
    query: "?copy=x-plan",
    headers: mine,
    decision: allowed({ requestHeaders: [op("set", "x-plan", "a\u0001b")] }),
    expected: { "x-plan": undefined },
    drops: ["header bad_value 1"],
  },
  {
    title: "copied headers have names of their own",
    of: "nginx",
    query: "?copy=x-plan,x-tag,x-debug,x-other,x-z",
    headers: mine,
    decision: changes,
    expected: {
      "x-weir-request-x-plan": "gold",
      "x-weir-request-x-tag": "a, b",
      "x-weir-request-x-debug": undefined,
      "x-weir-request-x-other": "o",
      "x-plan": undefined,
    },
  },
  {
    title: "headers of the response replace or add",
    of: "nginx",
    query: "?copy-response=x-a,x-b,x-c,set-cookie",
    decision: allowed({
      responseHeaders: [
        op("set", "x-a", "1"),
        op("append", "x-a", "2"),
        op("append", "x-b", "3"),
        op("remove", "x-c"),
        op("append", "x-d", "4"),
        op("append", "set-cookie", "a=1"),
        op("append", "set-cookie", "b=2"),
      ],
    }),
    expected: {
      "x-weir-response-x-a": "=1, 2",
      "x-weir-response-x-b": "+3",
      "x-weir-response-x-c": "=",
      "x-weir-response-x-d": undefined,
      "x-weir-response-set-cookie": undefined,
    },
    drops: ["header not_carried 1", "header not_carried 1"],
  },
  {
    title: "sets, appends and removes in its own way",
    of: "envoy",
    headers: mine,
    decision: allowed({
      requestHeaders: changes.requestHeaders,
      responseHeaders: [op("append", "x-served", "weir"), op("remove", "server"), op("set", "x-plan", "twice")],
    }),
    expected: {
      "x-plan": "gold",
      "x-tag": "b",
      "x-envoy-auth-headers-to-remove": "x-debug",
      "x-served": "weir",
      "x-other": undefined,
    },
    drops: ["header not_carried 1", "header not_carried 1"],
  },
  {
    title: "a refusal has the status of its code and the message",
    of: "forward",
    decision: refused(),
    status: 403,
    body: "only reviews may call ratings",
    expected: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-weir-decision": undefined,
      "x-weir-rules": undefined,
    },
  },
  {
    title: "a refusal has the status, headers and body of its rule",
    of: "forward",
    decision: refused({
      http: {
        status: 418,
        body: '{"tea":"☕"}\n',
        headers: [
          { name: "content-type", value: "application/json" },
          { name: "set-cookie", value: "a=1" },
          { name: "set-cookie", value: "b=2" },
          { name: "cache-control", value: "max-age=1" },
          { name: "x-bad", value: "a\u0001" },
        ],
      },
    }),
    status: 418,
    body: '{"tea":"☕"}\n',
    expected: {
      "content-type": "application/json",
      "set-cookie": "a=1|b=2",
      "cache-control": "max-age=1",
      "x-bad": undefined,
    },
    drops: ["header bad_value 1"],
  },
  {
    title: "a refused limit says when to come again",
    of: "forward",
    decision: refused({
      code: 8,
      limits: [
        {
          rule: "p/two",
          allowed: false,
          amount: 2,
          windowMs: 60_000,
          remaining: 0,
          resetMs: 30_000,
          retryAfterMs: 29_500,
        },
      ],
      http: { headers: [{ name: "RateLimit-Policy", value: "mine" }] },
    }),
    status: 429,
    expected: { "retry-after": "30", ratelimit: '"p/two";r=0;t=30', "ratelimit-policy": "mine" },
  },
  ...[200, 204, 299].flatMap((status) =>
    (["forward", "envoy"] as const).map((of): Case => ({
      title: `a refusal with status ${status} is no pass`,
      of,
      decision: refused({ http: { status, headers: [] } }),
      status: 403,
      expected: { "x-weir-status": String(status) },
      drops: ["status not_carried 1"],
    })),
  ),
  {
    title: "a refusal with status 5xx is no failed hub",
    of: "envoy",
    decision: refused({ code: 14 }),
    status: 403,
    expected: { "x-weir-status": "503" },
    drops: ["status not_carried 1"],
  },
  {
    title: "a refusal with status 5xx stays one where 5xx refuses",
    of: "forward",
    decision: refused({ code: 14 }),
    status: 503,
    expected: { "x-weir-status": undefined },
  },
  ...[100, 101, 199].map((status): Case => ({
    title: `a refusal with status ${status}, which ends no request, is 403`,
    of: "forward",
    decision: refused({ http: { status, headers: [] } }),
    status: 403,
    expected: {},
  })),
];

for (const { title, of, query = "", headers = [], decision, expected, status = 200, body, drops = [] } of cases) {
  test(`${of}: ${title}`, async (t) => {
    const { ask, hub, observer } = await serveAuthz(t, { check: () => decision });
    const answer = await ask({ path: `${paths[of]}${query}`, headers: [...original[of]!, ...headers] });
    t.is(answer.status, status);
    if (body !== undefined) t.is(answer.body, body);
    for (const [name, value] of Object.entries(expected)) {
      const came = answer.headers[name];
      t.is(Array.isArray(came) ? came.join("|") : came, value, name);
    }
    t.deepEqual(observer.drops, drops);
    t.is(hub.live, 0);
  });
}

test("nginx: a refusal is 403 with the answer in a header, which the hub gives when it comes back", async (t) => {
  const { ask } = await serveAuthz(t, {
    check: () =>
      refused({
        http: { status: 200, body: "line\n☕", headers: [{ name: "content-type", value: "text/html" }] },
        rules: ["a/b", "c/d"],
      }),
  });
  const first = await ask({ path: "/v1/authz/nginx", headers: original["nginx"]! });
  t.is(first.status, 403);
  t.is(first.body, "");
  t.is(first.headers["x-weir-status"], "200");
  t.is(first.headers["x-weir-rules"], "a/b,c/d");
  t.is(first.headers["x-weir-decision"], refused().id);
  const token = first.headers["x-weir-refusal"] as string;
  const second = await ask({ path: "/v1/authz/nginx/refusal", headers: [["x-weir-refusal", token]] });
  t.is(second.status, 200);
  t.is(second.body, "line\n☕");
  t.is(second.headers["content-type"], "text/html");
});

test("nginx: a body that is too long for a header gives way to the message, and is counted", async (t) => {
  const { ask, observer } = await serveAuthz(t, {
    check: () => refused({ http: { status: 410, body: "x".repeat(10_000), headers: [] } }),
  });
  const { headers } = await ask({ path: "/v1/authz/nginx", headers: original["nginx"]! });
  const second = await ask({
    path: "/v1/authz/nginx/refusal",
    headers: [["x-weir-refusal", headers["x-weir-refusal"] as string]],
  });
  t.is(second.status, 410);
  t.is(second.body, "only reviews may call ratings");
  t.deepEqual(observer.drops, ["body not_carried 1"]);
});

test("nginx: headers that are too long for a header give way too", async (t) => {
  const { ask, observer } = await serveAuthz(t, {
    check: () => refused({ http: { headers: [{ name: "x-long", value: "x".repeat(10_000) }] } }),
  });
  const { headers } = await ask({ path: "/v1/authz/nginx", headers: original["nginx"]! });
  const second = await ask({
    path: "/v1/authz/nginx/refusal",
    headers: [["x-weir-refusal", headers["x-weir-refusal"] as string]],
  });
  t.is(second.status, 403);
  t.is(second.headers["x-long"], undefined);
  t.deepEqual(observer.drops, ["body not_carried 1", "header not_carried 1"]);
});

const tokens: readonly (readonly [title: string, json: unknown, status: number])[] = [
  ["nothing", "", 400],
  ["no JSON", "%%%", 400],
  ["no list", { status: 200 }, 400],
  ["a status that is text", ["200", [], ""], 400],
  ["headers that are none", [200, [["a"]], ""], 400],
  ["a status of no HTTP", [1000, [], ""], 403],
  [
    "a header that splits",
    [
      403,
      [
        ["a\r\nb", "c"],
        ["x", "y\r\nz: 1"],
        ["content-length", "99"],
      ],
      "b",
    ],
    403,
  ],
];

for (const [title, json, status] of tokens) {
  test(`nginx: a refusal that the hub did not write is answered in peace: ${title}`, async (t) => {
    const { ask } = await serveAuthz(t);
    const token = typeof json === "string" ? json : Buffer.from(JSON.stringify(json)).toString("base64url");
    const answer = await ask({ path: "/v1/authz/nginx/refusal", headers: [["x-weir-refusal", token]] });
    t.is(answer.status, status);
    t.is(answer.headers["z"], undefined);
  });
}
