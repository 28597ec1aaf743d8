import test from "ava";
import { createClient, createStreamClient } from "../../src/client/index.ts";
import { post } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";

const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    message: only web
  - name: inside
    deny: unauthenticated
    when: has(source.ip) && !inCidr(source.ip, "10.0.0.0/8")
    message: only from inside
    http: { status: 418, body: tea }
---
policy: list
match: destination.service.name == "list"
check:
  - name: partners
    ask: partners
    with: { value: 'request.headers["x-partner"]' }
---
policy: tags
match: destination.service.name == "tags"
check:
  - name: tag
    headers:
      request: { set: { x-plan: 'request.auth.claims["plan"]' }, remove: [x-debug] }
      response: { append: { x-served: '"weir"' } }
---
policy: watched
mode: observe
match: destination.service.name == "watched"
check:
  - name: all
    deny: internal
---
policy: limits
match: destination.service.name == "limits"
check:
  - name: two
    limit: 2/h
    by: { who: source.principal }
`;

let hub: Hub;

test.before(async () => {
  hub = await startHub({
    "weir.yaml": "policies: ./policies\nadapters: { partners: { adapter: list, entries: [acme] } }\n",
    "policies/all.yaml": policies,
  });
});

test.after.always(() => hub?.dispose());

type Attributes = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

/** What all doors can say of a decision. */
interface Verdict {
  readonly allowed: boolean;
  readonly code: number;
  readonly message: string;
  readonly http: string;
  readonly request: readonly string[];
  readonly response: readonly string[];
  readonly validForMs: number;
  readonly validUses: number;
  readonly referenced: readonly string[];
}

const codes: Readonly<Record<string, number>> = {
  ok: 0,
  permission_denied: 7,
  resource_exhausted: 8,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
};

async function overHttp(attributes: Attributes): Promise<Verdict> {
  const { json } = await post(hub, "/v1/check", { attributes });
  const header = ({ op, name, value = "" }: any) => `${op} ${name} ${value}`;
  return {
    allowed: json.allowed,
    code: codes[json.code]!,
    message: json.message,
    http: json.http?.status === 418 ? `418 ${json.http.body}` : "",
    request: json.headers.request.map(header),
    response: json.headers.response.map(header),
    validForMs: Number.parseFloat(json.valid_for) * 1000,
    validUses: json.valid_uses,
    referenced: [...json.referenced].sort(),
  };
}

const over = (create: typeof createClient | typeof createStreamClient) => async (attributes: Attributes) => {
  const client = create({ address: hub.grpc });
  try {
    const { allowed, code, message, http, requestHeaders, responseHeaders, validForMs, validUses, referenced } =
      await client.check(attributes);
    const header = ({ operation, name, value }: any) => `${operation} ${name} ${value}`;
    return {
      allowed,
      code,
      message,
      http: http === undefined ? "" : `${http.status} ${http.body}`,
      request: requestHeaders.map(header),
      response: responseHeaders.map(header),
      validForMs,
      validUses,
      referenced: referenced
        .map(({ name, key, condition }) => {
          const entry = key === undefined ? "" : `[${key}]`;
          return `${condition === "absent" ? "-" : ""}${name}${entry}`;
        })
        .sort(),
    };
  } finally {
    client.close();
  }
};

const doors: Readonly<Record<string, (attributes: Attributes) => Promise<Verdict>>> = {
  Mixer: over(createClient),
  stream: over(createStreamClient),
  HTTP: overHttp,
};

const cases: readonly { title: string; given: Attributes; code: number; message?: RegExp; http?: string }[] = [
  { title: "no rule applies", given: {}, code: 0 },
  { title: "an unless that holds", given: { service: "acl", "source.namespace": "web" }, code: 0 },
  { title: "an unless that is absent", given: { service: "acl" }, code: 7, message: /only web/ },
  {
    title: "an address outside",
    given: { service: "acl", "source.namespace": "web", "source.ip": "192.0.2.1" },
    code: 16,
    message: /only from inside/,
    http: "418 tea",
  },
  {
    title: "two refusals, of which the first by name gives the code",
    given: { service: "acl", "source.ip": "192.0.2.1" },
    code: 16,
    message: /only from inside.*only web/,
    http: "418 tea",
  },
  {
    title: "an address inside, as IPv4 within IPv6",
    given: { service: "acl", "source.namespace": "web", "source.ip": "::ffff:10.1.2.3" },
    code: 0,
  },
  { title: "an entry on a list", given: { service: "list", "request.headers": { "x-partner": "acme" } }, code: 0 },
  { title: "one that is not", given: { service: "list", "request.headers": { "x-partner": "evil" } }, code: 7 },
  { title: "an empty map", given: { service: "list", "request.headers": {} }, code: 7 },
  { title: "header operations", given: { service: "tags", "request.auth.claims": { plan: "gold" } }, code: 0 },
  {
    title: "a header whose value is absent",
    given: { service: "tags", "request.auth.claims": { other: "x" } },
    code: 0,
  },
  { title: "a policy that observes", given: { service: "watched" }, code: 0 },
];

for (const { title, given, code, message, http = "" } of cases) {
  test(`${title}: the same verdict at each door`, async (t) => {
    const { service = "nobody", ...rest } = given;
    const attributes = { ...rest, "destination.service.name": service } as Attributes;
    const expected = await doors["HTTP"]!(attributes);
    t.is(expected.code, code);
    t.is(expected.http, http);
    if (message !== undefined) t.regex(expected.message, message);
    for (const [door, ask] of Object.entries(doors)) t.deepEqual(await ask(attributes), expected, door);
  });
}

test("all doors charge the same count", async (t) => {
  const attributes = { "destination.service.name": "limits", "source.principal": "ann" };
  const verdicts: Verdict[] = [];
  for (const ask of Object.values(doors)) verdicts.push(await ask(attributes));
  t.deepEqual(
    verdicts.map(({ code }) => code),
    [0, 0, 8],
  );
  for (const ask of Object.values(doors)) t.is((await ask(attributes)).code, 8);
});
