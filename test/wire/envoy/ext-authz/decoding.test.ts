import { readFileSync } from "node:fs";
import test from "ava";
import { createClients } from "../../../../src/listen/client.ts";
import fc from "fast-check";
import { Bag } from "../../../../src/attributes/bag.ts";
import { Fault } from "../../../../src/attributes/fault.ts";
import { standardVocabulary } from "../../../../src/attributes/standard-vocabulary.ts";
import { formatValue } from "../../../../src/attributes/text.ts";
import { WeirError } from "../../../../src/util/weir-error.ts";
import { extensionOf, setExtensions } from "../../../../src/wire/envoy/ext-authz/context-extensions.ts";
import { RequestDecoder } from "../../../../src/wire/envoy/ext-authz/request-decoder.ts";
import { AttributeContext } from "../../../../src/wire/gen/envoy/service/auth/v3/attribute_context.ts";
import { CheckRequest } from "../../../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { fuzzRuns } from "../../../fuzz-runs.ts";
import { contents, layoutOf } from "../../grpc/fake-session.ts";
import { recordingObserver } from "../../grpc/harness.ts";
import { hostileBytes } from "../../hostile-bytes.ts";
import { type Context, mappings } from "./mapping.ts";

const everything = layoutOf(mappings.map(({ attribute }) => attribute));

function encode(context: Context): Buffer {
  return Buffer.from(CheckRequest.encode(CheckRequest.fromPartial({ attributes: context })).finish());
}

/** Decodes bytes as the door does. */
function decode(bytes: Buffer, layout = everything, bodyBytes = 65_536) {
  const bag = new Bag(layout);
  const decoded = new RequestDecoder().fill(bag, bytes, bodyBytes);
  setExtensions(bag, decoded.extensions, decoded.extensionCount, standardVocabulary, undefined, recordingObserver());
  return { bag, decoded };
}

const read = (context: Context, reads: readonly string[], bodyBytes?: number) =>
  contents(decode(encode(context), layoutOf(reads), bodyBytes).bag);

/** A value as JSON has it. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Fault) return value.message;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : formatValue(value as never);
}

for (const { attribute, given, value } of mappings) {
  test(`${attribute} is read, alone and beside all others`, (t) => {
    const bytes = encode(given);
    for (const layout of [layoutOf([attribute]), everything]) {
      const { bag } = decode(bytes, layout);
      t.deepEqual(plain(bag.peek(layout.find(attribute)!)), value);
    }
  });
}

test("docs/doors/ext-authz.md has a row for each attribute, and no other", (t) => {
  const page = readFileSync("docs/doors/ext-authz.md", "utf8");
  const [mapping] = page.split("### Who is called");
  const rows = [...mapping!.matchAll(/^\| `([a-z_.A-Z]+)` +\| (.+?) +\|$/gm)].map(([, attribute, from]) => ({
    attribute,
    from,
  }));
  t.deepEqual(
    rows,
    mappings.map(({ attribute, from }) => ({ attribute, from })),
  );
});

const http = (fields: NonNullable<NonNullable<Context["request"]>["http"]>): Context => ({ request: { http: fields } });

const headers = (...pairs: [string, string][]): Context => http({ headers: new Map(pairs) });

const jwt = (fields: Record<string, unknown>): Context => ({
  metadataContext: { filterMetadata: new Map([["envoy.filters.http.jwt_authn", fields]]) },
});

const cases: readonly { title: string; given: Context; reads: readonly string[]; holds: Record<string, unknown> }[] = [
  {
    title: "an empty request of HTTP has its protocol, no client certificate, and no header",
    given: http({}),
    reads: ["context.protocol", "connection.mtls", "request.headers[x]", "request.method"],
    holds: { "context.protocol": "http", "connection.mtls": false, "request.headers": "{}" },
  },
  {
    title: "the host is a header too, as it is at other doors",
    given: http({ host: "shop.example", headers: new Map([["x", "1"]]) }),
    reads: ["request.headers[host]"],
    holds: { "request.headers[host]": "shop.example", "request.headers": "{}" },
  },
  {
    title: "the host is among the headers where a rule reads them all",
    given: http({ host: "shop.example", headers: new Map([["x", "1"]]) }),
    reads: ["request.headers[*]"],
    holds: { "request.headers": { host: "shop.example", x: "1" } },
  },
  {
    title: "a request whose header says nothing is told apart by Envoy's own number",
    given: http({ id: "1803", headers: new Map([["x-request-id", ""]]) }),
    reads: ["request.id"],
    holds: { "request.id": "1803" },
  },
  {
    title: "raw headers say which request it is, whatever comes first",
    given: http({ id: "1803", headerMap: { headers: [{ key: "x-request-id", rawValue: Buffer.from("f9d1c6d0") }] } }),
    reads: ["request.id"],
    holds: { "request.id": "f9d1c6d0" },
  },
  {
    title: "the beginning of a body is no body: what a rule looks for may come later",
    given: http({ rawBody: Buffer.from("ab"), headers: new Map([["x-envoy-auth-partial-body", "true"]]) }),
    reads: ["request.body", "request.raw_body"],
    holds: {
      "request.body": "Envoy sent the beginning of the body alone (max_request_bytes of with_request_body)",
      "request.raw_body": "Envoy sent the beginning of the body alone (max_request_bytes of with_request_body)",
    },
  },
  {
    title: "a body is whole whatever other headers say, and what else that of Envoy does",
    given: http({
      body: "ab",
      headers: new Map([
        ["x-flag", "true"],
        ["x-envoy-auth-partial-body", ""],
      ]),
    }),
    reads: ["request.body", "request.headers[x-flag]"],
    holds: { "request.body": "ab", "request.headers": "{}", "request.headers[x-flag]": "true" },
  },
  {
    title: "no body is not the beginning of one, whatever a caller writes",
    given: http({ headers: new Map([["x-envoy-auth-partial-body", "true"]]) }),
    reads: ["request.body"],
    holds: {},
  },
  {
    title: "the beginning of a body is none where a rule reads bytes alone",
    given: http({ rawBody: Buffer.from("ab"), headers: new Map([["x-envoy-auth-partial-body", "true"]]) }),
    reads: ["request.raw_body"],
    holds: {
      "request.raw_body": "Envoy sent the beginning of the body alone (max_request_bytes of with_request_body)",
    },
  },
  {
    title: "no caller makes a whole body of a beginning",
    given: http({
      body: "ab",
      headerMap: {
        headers: ["false", "true"].map((value) => ({
          key: "x-envoy-auth-partial-body",
          rawValue: Buffer.from(value),
        })),
      },
    }),
    reads: ["request.body"],
    holds: {
      "request.body": "Envoy sent the beginning of the body alone (max_request_bytes of with_request_body)",
    },
  },
  {
    title: "a connection has no headers at all",
    given: { source: { principal: "spiffe://td/ns/a/sa/b" } },
    reads: ["context.protocol", "connection.mtls", "request.headers[x]", "source.namespace"],
    holds: { "context.protocol": "tcp", "connection.mtls": true, "source.namespace": "a" },
  },
  {
    title: "a subject that looks like a SPIFFE id gives no namespace",
    given: { source: { principal: "cluster.local/ns/kube-system/sa/admin" } },
    reads: ["source.principal", "source.namespace", "source.serviceAccount"],
    holds: { "source.principal": "cluster.local/ns/kube-system/sa/admin" },
  },
  {
    title: "a SPIFFE id of another form gives no namespace",
    given: { source: { principal: "spiffe://td/x/ns/a/sa/b" } },
    reads: ["source.principal", "source.namespace"],
    holds: { "source.principal": "td/x/ns/a/sa/b" },
  },
  {
    title: "the service that a caller says it is says nothing",
    given: { source: { service: "admin" } },
    reads: ["source.services", "source.name", "source.workload.name"],
    holds: {},
  },
  {
    title: "an address that is none is a fault, a pipe is absent",
    given: {
      source: { address: { socketAddress: { address: "10.0.0.999" } } },
      destination: { address: { pipe: { path: "/run/x" } } },
    },
    reads: ["source.ip", "source.port", "destination.ip"],
    holds: { "source.ip": '"10.0.0.999" is no IP address' },
  },
  {
    title: "an IPv4 address that travels in IPv6 form is the IPv4 address",
    given: { source: { address: { socketAddress: { address: "::ffff:10.0.0.1" } } } },
    reads: ["source.ip"],
    holds: { "source.ip": "10.0.0.1" },
  },
  {
    title: "an address with a leading 0 is none",
    given: { source: { address: { socketAddress: { address: "10.0.0.010" } } } },
    reads: ["source.ip"],
    holds: { "source.ip": '"10.0.0.010" is no IP address' },
  },
  {
    title: "headers: by key, whole, and with an empty value",
    given: headers(["x-a", "1"], ["x-empty", ""], ["x-long", "v".repeat(300)], [":authority", "h"]),
    reads: ["request.headers[x-a]", "request.headers[x-empty]", "request.headers[:authority]", "request.headers[*]"],
    holds: {
      "request.headers": { "x-a": "1", "x-empty": "", "x-long": "v".repeat(300) },
      "request.headers[x-a]": "1",
      "request.headers[x-empty]": "",
    },
  },
  {
    title: "raw headers: several of a name are joined, bytes that are no text are replaced",
    given: http({
      headerMap: {
        headers: [
          { key: "x-a", rawValue: Buffer.from("1") },
          { key: "cookie", rawValue: Buffer.from("a=1") },
          { key: "x-a", rawValue: Buffer.from("2") },
          { key: "cookie", rawValue: Buffer.from("b=2") },
          { key: "x-bad", rawValue: Buffer.of(0x61, 0xff) },
          { key: "content-type", rawValue: Buffer.from("application/grpc") },
        ],
      },
    }),
    reads: ["request.headers[x-a]", "request.headers[cookie]", "request.headers[*]", "context.protocol"],
    holds: {
      "request.headers[x-a]": "1,2",
      "request.headers[cookie]": "a=1; b=2",
      "request.headers": {
        "x-a": "1,2",
        cookie: "a=1; b=2",
        "x-bad": "a\ufffd",
        "content-type": "application/grpc",
      },
      "context.protocol": "grpc",
    },
  },
  {
    title: "grpc-web is no gRPC",
    given: headers(["content-type", "application/grpc-web"]),
    reads: ["context.protocol"],
    holds: { "context.protocol": "http" },
  },
  { title: "an unknown size is absent", given: http({ size: -1n }), reads: ["request.size"], holds: {} },
  {
    title: "a time outside the calendar is a fault",
    given: { request: { time: { seconds: 10n ** 15n, nanos: 0 } } },
    reads: ["request.time"],
    holds: { "request.time": "request.time came as 1000000000000000 s and 0 ns" },
  },
  {
    title: "a certificate that is none is a fault of what it should tell",
    given: { source: { certificate: "%zz" } },
    reads: ["source.certificate.subject", "connection.mtls"],
    holds: { "source.certificate.subject": "the certificate of the client cannot be read", "connection.mtls": true },
  },
  {
    title: "a token that names no subject has no principal",
    given: jwt({ payload: { iss: "a", aud: "x" } }),
    reads: ["request.auth.principal", "request.auth.audiences", "request.auth.claims[iss]"],
    holds: { "request.auth.audiences": "x", "request.auth.claims": "{}", "request.auth.claims[iss]": "a" },
  },
  {
    title: "headers of a token and a failure beside it are no claims",
    given: jwt({ a_header: { alg: "RS256" }, b_status: { code: 3 }, z: { iss: "i", sub: "s" } }),
    reads: ["request.auth.principal"],
    holds: { "request.auth.principal": "i/s" },
  },
  {
    title: "of two tokens the first by its key counts",
    given: jwt({ b: { iss: "b", sub: "s" }, a: { iss: "a", sub: "s" } }),
    reads: ["request.auth.principal"],
    holds: { "request.auth.principal": "a/s" },
  },
  {
    title: "keys of metadata cannot be confused",
    given: {
      metadataContext: {
        filterMetadata: new Map([
          ["f", { "a/b": "1", a: { b: "2" }, "c~d": "3", none: null, list: ["x", 1, { y: true }] }],
        ]),
      },
    },
    reads: ["context.metadata"],
    holds: { "context.metadata": { "f/a~1b": "1", "f/a/b": "2", "f/c~0d": "3", "f/list": '["x",1,{"y":true}]' } },
  },
  {
    title: "a context extension with an attribute's name sets it, whatever the request says of it",
    given: {
      destination: { principal: "spiffe://td/ns/other/sa/b", address: { socketAddress: { address: "10.0.0.1" } } },
      contextExtensions: new Map([
        ["destination.service.name", "reviews"],
        ["destination.namespace", "shop"],
        ["destination.port", "9080"],
        ["destination.labels", '{"app":"reviews"}'],
        ["destination.ip", "nowhere"],
        ["tier", "gold"],
      ]),
    },
    reads: [
      "destination.service.name",
      "destination.namespace",
      "destination.port",
      "destination.labels[app]",
      "destination.ip",
      "context.extensions[tier]",
    ],
    holds: {
      "destination.service.name": "reviews",
      "destination.namespace": "shop",
      "destination.port": 9080,
      "destination.labels": "{}",
      "destination.labels[app]": "reviews",
      "destination.ip": "destination.ip came as a context extension that is no ip",
      "context.extensions": "{}",
      "context.extensions[tier]": "gold",
    },
  },
];

for (const { title, given, reads, holds } of cases) {
  test(title, (t) => {
    const found = read(given, reads);
    const shown = Object.entries(found).map(([name, value]) => [
      name,
      value instanceof Map && value.size === 0 ? "{}" : plain(value),
    ]);
    t.deepEqual(Object.fromEntries(shown), holds);
  });
}

test("a body beyond the limit is told as that, also where Envoy was asked for no more than a byte beyond it", (t) => {
  const partial = new Map([["x-envoy-auth-partial-body", "true"]]);
  const found = read(http({ body: "x".repeat(100), headers: partial }), ["request.body", "request.raw_body"], 99);
  for (const name of ["request.body", "request.raw_body"])
    t.regex((found[name] as Fault).message, /doors\.body of weir\.yaml/, name);
});

test("neither the beginning of a body nor Envoy's number says anything of the next request", (t) => {
  const reads = ["request.raw_body", "request.id"];
  const bag = new Bag(layoutOf(reads));
  const decoder = new RequestDecoder();
  const next = (fields: Parameters<typeof http>[0]): Record<string, unknown> => {
    bag.clear();
    decoder.fill(bag, encode(http(fields)), 99);
    return contents(bag);
  };
  const partial = new Map([["x-envoy-auth-partial-body", "true"]]);
  const first = next({ id: "1803", body: "ab", headers: partial });
  t.true(first["request.raw_body"] instanceof Fault);
  t.is(first["request.id"], "1803");
  const second = next({ body: "ab" });
  t.is(Buffer.from(second["request.raw_body"] as Uint8Array).toString(), "ab");
  t.is(second["request.id"], undefined);
});

test("a body beyond the limit is a fault, not a part of the body", (t) => {
  const found = read(http({ body: "x".repeat(100) }), ["request.body", "request.raw_body"], 99);
  for (const name of ["request.body", "request.raw_body"]) t.true(found[name] instanceof Fault, name);
  t.is(read(http({ body: "x".repeat(99) }), ["request.body"], 99)["request.body"], "x".repeat(99));
});

test("an attribute that a client may not set refuses the call, whether a rule reads it or not", (t) => {
  const observer = recordingObserver();
  const client = createClients([{ name: "edge.example", attributes: ["destination.*"] }])({
    spiffe: undefined,
    dns: ["edge.example"],
  })!;
  const set = (name: string, reads: readonly string[]) =>
    setExtensions(
      new Bag(layoutOf(reads)),
      [extensionOf(layoutOf(reads), name, "x")],
      1,
      standardVocabulary,
      client,
      observer,
    );
  set("destination.service.name", ["destination.service.name"]);
  set("tier", ["source.namespace"]);
  for (const reads of [["source.namespace"], ["request.path"]]) {
    t.throws(() => set("source.namespace", reads), { instanceOf: WeirError, message: /may not speak/ });
  }
  t.deepEqual(observer.drops, ["caller ext_authz attribute", "caller ext_authz attribute"]);
});

/** Everything at once, with the usual headers of a browser. */
const full: Context = {
  source: { address: { socketAddress: { address: "10.1.2.3", portValue: 1 } }, principal: "spiffe://td/ns/a/sa/b" },
  destination: { address: { socketAddress: { address: "10.1.2.4", portValue: 2 } }, labels: new Map([["a", "b"]]) },
  request: {
    time: { seconds: 1n, nanos: 2 },
    http: {
      id: "i",
      method: "GET",
      path: "/p?q=r",
      host: "h",
      scheme: "https",
      protocol: "HTTP/2",
      size: 3n,
      body: "body",
      headers: new Map(Array.from({ length: 25 }, (_, i) => [`x-header-${i}`, `value ${i}`])),
    },
  },
  contextExtensions: new Map([["destination.service.name", "reviews"]]),
  metadataContext: { filterMetadata: new Map([["envoy.filters.http.jwt_authn", { p: { iss: "i", sub: "s" } }]]) },
  routeMetadataContext: { filterMetadata: new Map([["r", { s: ["t", 1, null, { u: true }] }]]) },
  tlsSession: { sni: "s" },
};
const fullLayout = layoutOf([
  ...mappings.map(({ attribute }) => attribute),
  "request.headers[x-header-3]",
  "destination.service.name",
]);

/** The fields of a message as their own bytes. */
function fieldsOf(message: Uint8Array): Buffer[] {
  const fields: Buffer[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    if ((tag & 7) === 2) {
      const length = varint();
      at += length;
    } else varint();
    fields.push(Buffer.from(message.subarray(start, at)));
  }
  return fields;
}

/** How many bytes the length takes that follows the first tag. */
function varintLength(message: Uint8Array): number {
  return message.subarray(1).findIndex((byte) => byte < 0x80) + 1;
}

/** A field that nobody knows. */
const unknown = Buffer.of(0xfa, 0x7f, 3, 1, 2, 3);

function delimited(tag: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

test("the order of fields does not matter, and unknown fields mean nothing", (t) => {
  const [tag, length] = [1, varintLength(encode(full))];
  const context = fieldsOf(encode(full).subarray(tag + length));
  const expected = contents(decode(encode(full), fullLayout).bag);
  t.true(Object.keys(expected).length > 30);
  fc.assert(
    fc.property(fc.shuffledSubarray(context, { minLength: context.length }), (shuffled) => {
      const parts = shuffled.flatMap((field) => [unknown, field]);
      const bytes = Buffer.concat([unknown, delimited(0x0a, Buffer.concat(parts))]);
      t.deepEqual(contents(decode(bytes, fullLayout).bag), expected);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

test("a message that comes in two parts is their sum", (t) => {
  const expected = contents(decode(encode(full), fullLayout).bag);
  const bytes = encode(full);
  const halves = [
    encode({ source: full.source!, request: full.request! }),
    encode({ ...full, source: {}, request: {} }),
  ];
  t.deepEqual(contents(decode(Buffer.concat(halves), fullLayout).bag), expected);
  t.deepEqual(contents(decode(bytes, fullLayout).bag), expected);
});

test("generated requests are read as the generated code reads them", (t) => {
  const text = fc.string({ unit: "binary", maxLength: 80 }).filter((each) => !/\p{Surrogate}/u.test(each));
  const layout = layoutOf(["request.headers[*]", "request.method", "request.path", "context.extensions[*]"]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, text), { maxLength: 30 }),
      text,
      text,
      fc.array(fc.tuple(text, text), { maxLength: 5 }),
      (pairs, method, path, extensions) => {
        const given: Context = {
          ...http({ headers: new Map(pairs), method, path }),
          contextExtensions: new Map(extensions),
        };
        const bag = decode(encode(given), layout).bag;
        const held = (name: string) => bag.peek(layout.find(name)!);
        const named = pairs.filter(([name]) => !name.startsWith(":"));
        t.deepEqual(held("request.headers"), new Map(named) as never);
        t.is(held("request.method") ?? "", method);
        t.is(held("request.path") ?? "", path);
        t.deepEqual(held("context.extensions"), new Map(extensions) as never);
      },
    ),
    { numRuns: fuzzRuns(200) },
  );
});

/** A decoder that goes from request to request, as the door's does. */
const lasting = new RequestDecoder();

test("requests in a row, their entries in any form and order, are read as the generated code reads them", (t) => {
  const layout = layoutOf([
    "request.headers[x-tenant]",
    "request.headers[abc]",
    "request.useragent",
    "context.protocol",
    "context.extensions[*]",
    "destination.service.name",
    "request.auth.principal",
    "source.principal",
    "source.ip",
    "source.port",
    "request.method",
  ]);
  const key = fc.constantFrom(
    "x-tenant",
    "x-tenanT",
    "abc",
    "abd",
    "user-agent",
    "content-type",
    "a",
    "",
    "x".repeat(130),
  );
  const text = fc.constantFrom("", "a", "application/grpc", "application/json", "v".repeat(130), "w".repeat(20_000));
  const parts = (tag: number, name: string, value: Uint8Array): fc.Arbitrary<Buffer> => {
    const fields = [delimited(0x0a, Buffer.from(name)), delimited(0x12, value)];
    const usual = Buffer.concat(fields);
    const forms = [
      Buffer.concat(fields.toReversed()),
      Buffer.concat([unknown, usual]),
      Buffer.concat([usual, unknown]),
    ];
    const twice = Buffer.concat([delimited(0x0a, Buffer.from("x-tenant")), delimited(0x12, Buffer.alloc(0)), usual]);
    const content = fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, fc.constantFrom(...forms, twice));
    return content.map((bytes) => delimited(tag, bytes));
  };
  const fields = (each: fc.Arbitrary<Buffer>, maxLength: number): fc.Arbitrary<Buffer> =>
    fc
      .array(fc.oneof({ weight: 8, arbitrary: each }, fc.constant(unknown)), { maxLength })
      .map((all) => Buffer.concat(all));
  const header = fc.tuple(key, text).chain(([name, value]) => parts(0x1a, name, Buffer.from(value)));
  const method = fc.constantFrom("GET", "POST").map((each) => delimited(0x12, Buffer.from(each)));
  const http = fields(fc.oneof({ weight: 8, arbitrary: header }, method), 12).map((all) => delimited(0x12, all));
  const extension = fc
    .tuple(fc.constantFrom("destination.service.name", "tier"), fc.constantFrom("a", "b", "c"))
    .chain(([name, value]) => parts(0x52, name, Buffer.from(value)));
  const claim = fc
    .tuple(fc.constantFrom("iss", "sub", "aud", "groups"), fc.constantFrom("i", "j", "long".repeat(70)))
    .chain(([name, value]) => parts(0x0a, name, delimited(0x1a, Buffer.from(value))));
  const token = fields(claim, 5)
    .chain((claims) => parts(0x0a, "payload", delimited(0x2a, claims)))
    .chain((payload) => parts(0x0a, "envoy.filters.http.jwt_authn", payload))
    .map((filter) => delimited(0x5a, filter));
  const source = fc
    .tuple(
      fc.constantFrom("10.0.0.1", "10.0.0.2", "::1"),
      fc.nat(65_535),
      fc.constantFrom("spiffe://td/ns/a/sa/b", "CN=x", ""),
    )
    .map(([address, portValue, principal]) =>
      AttributeContext.fromPartial({ source: { address: { socketAddress: { address, portValue } }, principal } }),
    )
    .map((message) => Buffer.from(AttributeContext.encode(message).finish()));
  const request = http.map((bytes) => delimited(0x22, bytes));
  const context = fc.shuffledSubarray([0, 1, 2, 3, 4]).chain((order) => {
    const all = [request, fields(extension, 4), token, source, fc.constant(unknown)];
    return fc.tuple(...order.map((i) => all[i]!)).map((each) => delimited(0x0a, Buffer.concat(each)));
  });
  let full = 0;
  fc.assert(
    fc.property(context, (bytes) => {
      const attributes = CheckRequest.decode(bytes).attributes ?? AttributeContext.fromPartial({});
      const bag = new Bag(layout);
      const { extensions, extensionCount } = lasting.fill(bag, bytes, 65_536);
      setExtensions(bag, extensions, extensionCount, standardVocabulary, undefined, recordingObserver());
      const { http: asked } = attributes.request ?? {};
      const held = (name: string) => bag.peek(layout.find(name)!);
      const ofHeader = (name: string) => bag.peek(layout.keysOf("request.headers")!.get(name)!);
      t.is(ofHeader("x-tenant"), asked?.headers.get("x-tenant"));
      t.is(ofHeader("abc"), asked?.headers.get("abc"));
      t.is(held("request.useragent"), asked?.headers.get("user-agent"));
      t.is(held("request.method") ?? "", asked?.method ?? "");
      const isGrpc = asked?.headers.get("content-type") === "application/grpc";
      t.is(held("context.protocol"), asked === undefined ? "tcp" : isGrpc ? "grpc" : "http");
      t.deepEqual(held("context.extensions"), attributes.contextExtensions as never);
      t.is(held("destination.service.name"), attributes.contextExtensions.get("destination.service.name"));
      const found = attributes.metadataContext?.filterMetadata.get("envoy.filters.http.jwt_authn")?.["payload"];
      const principal = found?.iss !== undefined && found.sub !== undefined ? `${found.iss}/${found.sub}` : undefined;
      t.is(held("request.auth.principal"), principal);
      const { principal: identity, address: where } = attributes.source ?? {};
      t.is(held("source.principal") ?? "", (identity ?? "").replace("spiffe://", ""));
      const socket = where?.socketAddress;
      t.is(String(held("source.ip") ?? ""), socket?.address ?? "");
      t.is(held("source.port") ?? 0, socket?.portValue ?? 0);
      if (principal !== undefined && asked !== undefined) full++;
    }),
    { numRuns: fuzzRuns(1000) },
  );
  t.true(full > 0);
});

test("any bytes are read, or are a clear error", (t) => {
  const decoder = new RequestDecoder();
  fc.assert(
    fc.property(hostileBytes(encode(full)), (bytes) => {
      try {
        decoder.fill(new Bag(fullLayout), bytes, 65_536);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        t.is(error.code, "WEIR_REQUEST_MALFORMED");
      }
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.deepEqual(
    contents(decode(encode(full), fullLayout).bag),
    contents(
      ((bag) => {
        decoder.fill(bag, encode(full), 65_536);
        const reviews = extensionOf(fullLayout, "destination.service.name", "reviews");
        setExtensions(bag, [reviews], 1, standardVocabulary, undefined, recordingObserver());
        return bag;
      })(new Bag(fullLayout)),
    ),
  );
});

test("100,000 headers, a huge body and structs without end are read or refused, and nothing else", (t) => {
  const many = new Map(Array.from({ length: 100_000 }, (_, i): [string, string] => [`x-${i}`, String(i)]));
  const layout = layoutOf(["request.headers[x-99999]", "request.body"]);
  const found = contents(decode(encode(http({ headers: many, body: "x".repeat(1_000_000) })), layout).bag);
  t.is(found["request.headers[x-99999]"], "99999");
  t.true(found["request.body"] instanceof Fault);
  let value: Uint8Array = Buffer.alloc(0);
  for (let depth = 0; depth < 5000; depth++) value = delimited(0x32, delimited(0x0a, value));
  const entry = delimited(0x0a, Buffer.concat([delimited(0x0a, Buffer.from("k")), delimited(0x12, value)]));
  const filter = delimited(0x0a, Buffer.concat([delimited(0x0a, Buffer.from("f")), delimited(0x12, entry)]));
  const deep = delimited(0x0a, delimited(0x5a, filter));
  t.throws(() => decode(deep, layoutOf(["context.metadata"])), { instanceOf: WeirError, message: /32 deep/ });
  t.notThrows(() => decode(deep, layoutOf(["request.method"])));
});
