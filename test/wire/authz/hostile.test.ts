import { connect } from "node:net";
import { once } from "node:events";
import test from "ava";
import fc from "fast-check";
import { Cidr, Ip } from "../../../src/attributes/ip.ts";
import { allowed, contents } from "../grpc/fake-session.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { createAuthority } from "../../e2e/certificates.ts";
import { serveAuthz, type Asked } from "./ask.ts";

const asForward: NonNullable<Asked["headers"]> = [
  ["x-forwarded-method", "GET"],
  ["x-forwarded-uri", "/x"],
  ["x-forwarded-for", "203.0.113.7"],
];
const without = (name: string) => asForward.filter(([each]) => each !== name);

const elsewhere = { doors: { authz: { trusted: [Cidr.parse("10.0.0.0/8")!] } } };

test("whoever is no trusted proxy is refused, counted each time, and logged once a minute", async (t) => {
  const { ask, at, hub, observer, log } = await serveAuthz(t, {
    ...elsewhere,
    check: () => t.fail("a stranger was judged") as never,
  });
  const asked: readonly Asked[] = [
    { path: "/v1/authz", headers: asForward },
    { path: "/v1/authz/nginx" },
    { path: "/v1/authz/envoy/x" },
    { path: "/v1/authz/nginx/refusal", headers: [["x-weir-refusal", ""]] },
  ];
  for (const each of asked) {
    const { status, body } = await ask(each);
    t.is(status, 403);
    t.deepEqual(JSON.parse(body), { error: { code: "WEIR_NOT_PERMITTED", message: "not permitted" } });
  }
  t.deepEqual(observer.drops, new Array(4).fill("caller authz proxy"));
  t.is(log.lines.length, 1);
  at(60_000);
  await ask({ path: "/v1/authz", headers: asForward });
  t.is(log.lines.length, 2);
  t.regex(JSON.stringify(log.lines[1]), /"notLogged":3/);
  t.is(hub.live, 0);
});

const wrong: readonly { title: string; asked: Asked; status: number; message: RegExp }[] = [
  {
    title: "no method",
    asked: { path: "/v1/authz", headers: without("x-forwarded-method") },
    status: 400,
    message: /x-forwarded-method/,
  },
  {
    title: "no path",
    asked: { path: "/v1/authz", headers: without("x-forwarded-uri") },
    status: 400,
    message: /x-forwarded-uri/,
  },
  ...["x", "http://shop/x", "", "?/x", "\\x"].map((uri) => ({
    title: `the path ${JSON.stringify(uri)}`,
    asked: { path: "/v1/authz", headers: [...without("x-forwarded-uri"), ["x-forwarded-uri", uri]] as const },
    status: 400,
    message: /did not say the path/,
  })),
  ...["G ET", "", "a".repeat(65), "GET,POST"].map((method) => ({
    title: `the method ${JSON.stringify(method)}`,
    asked: { path: "/v1/authz", headers: [...without("x-forwarded-method"), ["x-forwarded-method", method]] as const },
    status: 400,
    message: /did not say the method/,
  })),
  ...["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "X-Forwarded-Proto"].map((name) => ({
    title: `${name} twice`,
    asked: {
      path: "/v1/authz",
      headers: [...asForward, [name, "GET"], [name.toLowerCase(), "/y"]] as const,
    },
    status: 400,
    message: /came twice/,
  })),
  {
    title: "Envoy's prefix without a path",
    asked: { path: "/v1/authz/envoy" },
    status: 404,
    message: /path_prefix/,
  },
  { title: "a path beside Envoy's prefix", asked: { path: "/v1/authz/envoys/x" }, status: 404, message: /path_prefix/ },
  {
    title: "Envoy's prefix and a star",
    asked: { path: "/v1/authz/envoy;a.b=c*" },
    status: 404,
    message: /path_prefix/,
  },
  { title: "a path below", asked: { path: "/v1/authz/traefik" }, status: 404, message: /nothing at this path/ },
  ...[
    ["?cop=x", /unknown parameter "cop"/],
    ["?copy", /"copy" has no value/],
    ["?copy=a&copy=b", /"copy" came twice/],
    ["?a=%zz", /not percent-encoded/],
    ["?destination.service.nam=x", /did you mean destination.service.name\?/],
    ["?destination.port=x", /destination.port is of type int64, and "x" is not/],
  ].map(([query, message]) => ({
    title: `the parameters ${query as string}`,
    asked: { path: `/v1/authz${query as string}`, headers: asForward },
    status: 400,
    message: message as RegExp,
  })),
];

for (const { title, asked, status, message } of wrong) {
  test(`a request that cannot be judged does not pass: ${title}`, async (t) => {
    const { ask, hub } = await serveAuthz(t, { check: () => t.fail("it was judged") as never });
    const answer = await ask(asked);
    t.is(answer.status, status);
    t.regex((JSON.parse(answer.body) as { error: { message: string } }).error.message, message);
    t.is(hub.live, 0);
  });
}

test("every method asks, and a body is thrown away", async (t) => {
  const methods: unknown[] = [];
  const { ask } = await serveAuthz(t, {
    reads: ["request.method"],
    check(bag) {
      methods.push(contents(bag)["request.method"]);
      return allowed();
    },
  });
  for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"]) {
    t.is((await ask({ method, path: "/v1/authz/envoy/x" })).status, 200);
    t.is((await ask({ method: "POST", path: "/v1/authz", headers: asForward, body: "x".repeat(100_000) })).status, 200);
  }
  t.deepEqual(
    methods.filter((_, i) => i % 2 === 0),
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"],
  );
});

test("as many headers as fit are seen, and more than fit are refused", async (t) => {
  let found: unknown;
  const { ask } = await serveAuthz(t, {
    reads: ["source.ip", "request.headers[x-last]"],
    check(bag) {
      found = contents(bag);
      return allowed();
    },
  });
  const many = (count: number) => Array.from({ length: count }, (_, i) => [`a${i}`, ""] as const);
  const last = [["x-last", "1"]] as const;
  t.is((await ask({ path: "/v1/authz", headers: [...many(5000), ...asForward, ...last] })).status, 200);
  t.deepEqual(found, {
    "source.ip": Ip.parse("203.0.113.7"),
    "request.headers": new Map(),
    "request.headers[x-last]": "1",
  });
  t.is((await ask({ path: "/v1/authz", headers: [...many(20_000), ...asForward] })).status, 431);
});

test("ten thousand hops are no burden", async (t) => {
  let found: unknown;
  const { ask } = await serveAuthz(t, {
    reads: ["source.ip"],
    check(bag) {
      found = contents(bag)["source.ip"];
      return allowed();
    },
  });
  const hops = `${new Array(6000).fill("127.0.0.1").join(",")}`.slice(0, 60_000);
  t.is(
    (await ask({ path: "/v1/authz", headers: [...without("x-forwarded-for"), ["x-forwarded-for", hops]] })).status,
    200,
  );
  t.deepEqual(found, Ip.parse("127.0.0.1"));
});

for (const [title, head] of [
  ["a line that splits", "X-Forwarded-Uri: /x\r\nX-A: b\rX-Forwarded-For: 6.6.6.6"],
  ["a bare line feed", "X-Forwarded-Uri: /x\nX-Forwarded-For\n: 6.6.6.6"],
  ["a NUL", "X-Forwarded-Uri: /x\0y"],
  ["a folded line", "X-Forwarded-Uri: /x\r\n /y"],
  ["a blank before the colon", "X-Forwarded-Uri : /x"],
] as const) {
  test(`bytes that are no header do not pass: ${title}`, async (t) => {
    const { port, hub } = await serveAuthz(t, { check: () => t.fail("it was judged") as never });
    const socket = connect(port, "127.0.0.1");
    socket.end(`GET /v1/authz HTTP/1.1\r\nHost: a\r\nX-Forwarded-Method: GET\r\n${head}\r\n\r\n`, "latin1");
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
    await once(socket, "close");
    t.regex(text, /^HTTP\/1.1 4\d\d /);
    t.is(hub.live, 0);
  });
}

test("no headers make the door fail otherwise than with a 4xx, and no text of them is passed on as another header", async (t) => {
  const { ask, hub } = await serveAuthz(t, { reads: ["source.ip", "source.principal", "request.headers[*]"] });
  const name = fc.constantFrom("x-forwarded-for", "x-cert", "x-forwarded-uri", "cookie", "x-plan", "content-type");
  const value = fc.string({ unit: "binary", maxLength: 60 }).map((text) => text.replace(/[^\t -~\x80-\xff]/g, ""));
  const property = fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 8 }), async (headers) => {
    const answer = await ask({ path: "/v1/authz?certificate=x-cert&copy=x-plan", headers: [...asForward, ...headers] });
    t.true(answer.status === 200 || (answer.status >= 400 && answer.status < 500), String(answer.status));
  });
  await t.notThrowsAsync(() => fc.assert(property, { numRuns: fuzzRuns(150) }) as Promise<void>);
  t.is(hub.live, 0);
});

test("a real certificate tells who called", async (t) => {
  const { cert } = createAuthority().issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"], dns: ["web"] });
  const named = createAuthority().issue({ dns: ["web.example", "b"] });
  const found: unknown[] = [];
  const { ask } = await serveAuthz(t, {
    reads: ["source.principal", "source.namespace"],
    check(bag) {
      found.push(contents(bag));
      return allowed();
    },
  });
  const base64 = cert.replace(/-----[^-]+-----|\s/g, "");
  for (const value of [encodeURIComponent(cert), base64, encodeURIComponent(base64), encodeURIComponent(named.cert)]) {
    await ask({ path: "/v1/authz?certificate=X-Cert", headers: [...asForward, ["x-cert", value]] });
  }
  const web = { "source.principal": "mesh.example/ns/shop/sa/web", "source.namespace": "shop" };
  t.deepEqual(found, [web, web, web, { "source.principal": "web.example" }]);
});
