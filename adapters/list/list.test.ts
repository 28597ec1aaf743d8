import { readFileSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import test from "ava";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { parse } from "yaml";
import type { Verdict } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import list from "./index.ts";
import { ipRanges } from "./ip-ranges.ts";
import { createMatcher } from "./matcher.ts";

type Config = Parameters<typeof makeInstance<"check", { value: "any" }, typeof list.config>>[1];

testAdapter(test, list, {
  config: { entries: ["gold", "silver"] },
  refusedConfigs: [
    {},
    { entries: ["a"], kind: "glob" },
    { entries: ["a"], refresh: "soon" },
    { entries: ["a"], refresh: "0s" },
    { entries: ["a"], maxBytes: "lots" },
    { url: "ftp://example.org/list" },
    { url: "not a url" },
    { url: "http://example.org", file: "list.txt" },
  ],
  checks: [
    { input: { value: "gold" }, allow: true },
    { input: { value: "lead" }, allow: false },
    { input: { value: "" }, allow: false },
  ],
});

testAdapter(test, list, {
  title: "list of refused",
  config: { entries: ["10.0.0.0/8"], kind: "ip", deny: true },
  checks: [
    { input: { value: "10.1.2.3" }, allow: false },
    { input: { value: "192.0.2.1" }, allow: true },
    { input: { value: "not an address" }, allow: false },
  ],
});

const matches: readonly (readonly [
  kind: Parameters<typeof createMatcher>[0],
  entries: string[],
  value: string,
  listed: boolean | undefined,
])[] = [
  ["string", ["a", "b"], "a", true],
  ["string", ["a", "b"], "A", false],
  ["case-insensitive", ["Ann@Example.org"], "ann@example.ORG", true],
  ["case-insensitive", ["É"], "é", true],
  ["ip", ["10.0.0.0/8"], "10.255.255.255", true],
  ["ip", ["10.0.0.0/8"], "11.0.0.0", false],
  ["ip", ["10.1.2.3/8"], "10.9.9.9", true],
  ["ip", ["192.0.2.7"], "192.0.2.7", true],
  ["ip", ["192.0.2.7"], "192.0.2.8", false],
  ["ip", ["0.0.0.0/0"], "255.255.255.255", true],
  ["ip", ["0.0.0.0/0"], "::1", false],
  ["ip", ["::/0"], "10.0.0.1", false],
  ["ip", ["2001:db8::/32"], "2001:db8:ffff::1", true],
  ["ip", ["2001:db8::/32"], "2001:db9::1", false],
  ["ip", ["2001:db8::1"], "2001:db8::2", false],
  ["ip", ["10.0.0.0/8"], "::ffff:10.0.0.1", true],
  ["ip", ["::ffff:10.0.0.0/104"], "10.200.0.1", true],
  ["ip", ["10.0.0.0/8"], "10.0.0.1/8", undefined],
  ["ip", ["10.0.0.0/8"], "010.0.0.1", undefined],
  ["ip", ["10.0.0.0/8"], "fe80::1%eth0", undefined],
  ["ip", ["10.0.0.0/8"], "", undefined],
  ["regex", ["^/api/", "\\.css$"], "/api/users", true],
  ["regex", ["^/api/", "\\.css$"], "/style.css", true],
  ["regex", ["^/api/", "\\.css$"], "/index.html", false],
  ["regex", ["b+"], "abc", true],
  ["regex", ["b+"], "a".repeat(8193), undefined],
];

for (const [kind, entries, value, listed] of matches) {
  const name = value.length > 40 ? `a value of ${value.length} characters` : JSON.stringify(value);
  test(`${kind}: ${name} is ${listed === undefined ? "no value for" : listed ? "on" : "not on"} ${entries}`, (t) => {
    t.is(createMatcher(kind, entries)(value), listed);
  });
}

test("entries that are not of the kind are named", (t) => {
  for (const [kind, entry] of [
    ["ip", "10.0.0.0/33"],
    ["ip", "10.0.0"],
    ["ip", "2001:db8::/129"],
    ["ip", "example.org"],
    ["regex", "("],
    ["regex", "(?=a)"],
  ] as const) {
    const error = t.throws(() => createMatcher(kind, [entry]), { instanceOf: RangeError });
    t.true(error!.message.includes(JSON.stringify(entry)), error!.message);
  }
  t.throws(
    () =>
      createMatcher(
        "regex",
        Array.from({ length: 1001 }, () => "a"),
      ),
    { message: /at most 1000/ },
  );
  t.throws(() => createMatcher("regex", ["a".repeat(1001)]), { message: /at most 1000 characters/ });
});

test("ranges hold what each of them holds, by another library's reckoning", (t) => {
  const v4 = fc.tuple(fc.ipV4(), fc.nat({ max: 32 }));
  const v6 = fc.tuple(fc.ipV6(), fc.nat({ max: 128 }));
  fc.assert(
    fc.property(fc.array(fc.oneof(v4, v6), { maxLength: 12 }), fc.oneof(fc.ipV4(), fc.ipV6()), (ranges, address) => {
      const process = ipaddr.process(address);
      const expected = ranges.some(([base, prefix]) => {
        const range = ipaddr.process(base);
        if (range.kind() !== process.kind()) return false;
        const bits = prefix - (base.includes(":") && range.kind() === "ipv4" ? 96 : 0);
        return process.match(range as ipaddr.IPv4, bits);
      });
      const usable = ranges.filter(
        ([base, prefix]) => !(ipaddr.process(base).kind() === "ipv4" && base.includes(":") && prefix < 96),
      );
      if (usable.length !== ranges.length) return true;
      return ipRanges(ranges.map(([base, prefix]) => `${base}/${prefix}`)).contains(address) === expected;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

async function running(config: Config, folder?: string) {
  const host = fakeHost({ name: "partners", ...(folder === undefined ? {} : { folder }) });
  const instance = await makeInstance(list, config, host);
  const check = (value: string): Verdict => instance.check({ value }, fakeCall()) as Verdict;
  return { host, check };
}

test("a refusal names value and list, and cuts a long value", async (t) => {
  const { check } = await running({ entries: ["a"] });
  t.deepEqual(check("b"), { allow: false, code: "permission_denied", message: '"b" is not on the list partners' });
  t.true((check("x".repeat(10_000)) as { message: string }).message.length < 120);
});

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-list-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("a file is read from the folder of weir.yaml, and again when it changes", async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, "list.txt"), "# partners\r\n\r\n  acme \r\n");
  const { host, check } = await running({ file: "list.txt", refresh: "30s", entries: ["always"] }, folder);
  t.deepEqual(check("acme"), { allow: true, validForMs: 30_000 });
  t.true(check("always").allow);
  t.false(check("# partners").allow);

  await writeFile(join(folder, "new.txt"), "globex\n");
  await rename(join(folder, "new.txt"), join(folder, "list.txt"));
  t.false(check("globex").allow);
  await host.advance(30_000);
  t.true(check("globex").allow);
  t.false(check("acme").allow);
  t.true(check("always").allow);
});

test("a file that goes away or goes wrong leaves the last good list", async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, "list.txt");
  await writeFile(path, "10.0.0.0/8\n");
  const { host, check } = await running({ file: path, kind: "ip", maxBytes: "64B" }, folder);
  const wrong: (() => Promise<void>)[] = [
    () => rm(path),
    () => writeFile(path, "10.0.0.0/8\nnot an address\n"),
    () => writeFile(path, Buffer.from([0x31, 0xff, 0xfe])),
    () => writeFile(path, "10.0.0.0/8\n".repeat(10)),
  ];
  for (const [i, make] of wrong.entries()) {
    await make();
    await host.advance(60_000);
    t.is(host.events.get("refresh_failed"), i + 1);
    t.is(host.logs.at(-1)!.level, "warn");
    t.true(check("10.1.1.1").allow);
  }
  await writeFile(path, "192.0.2.0/24\n");
  await host.advance(60_000);
  t.true(check("192.0.2.1").allow);
});

test("a file that is not there, or is too large, fails the start", async (t) => {
  const folder = await folderOf(t);
  await t.throwsAsync(running({ file: "missing.txt" }, folder), { message: /missing\.txt/ });
  await writeFile(join(folder, "large.txt"), "x\n".repeat(100));
  await t.throwsAsync(running({ file: "large.txt", maxBytes: "199B" }, folder), { message: /larger than 199 bytes/ });
  await t.notThrowsAsync(running({ file: "large.txt", maxBytes: "200B" }, folder));
});

async function served(t: ExecutionContext, handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a URL is fetched at the start and again, by its ETag where it has one", async (t) => {
  let body = "acme\n";
  const asked: (string | undefined)[] = [];
  const url = await served(t, (request, response) => {
    asked.push(request.headers["if-none-match"]);
    const etag = `"${body.length}"`;
    if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag }).end(body);
  });
  const { host, check } = await running({ url, refresh: "10s" });
  t.true(check("acme").allow);
  await host.advance(10_000);
  t.true(check("acme").allow);
  body = "globex incorporated\n";
  await host.advance(10_000);
  t.true(check("globex incorporated").allow);
  t.false(check("acme").allow);
  t.deepEqual(asked, [undefined, '"5"', '"5"']);
  t.is(host.events.get("refresh_failed"), undefined);
});

test("a list that is refused is asked for again whole, so that it goes on being counted as refused", async (t) => {
  let body = "10.0.0.0/8\n";
  const url = await served(t, (request, response) => {
    const etag = `"${body.length}"`;
    if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag }).end(body);
  });
  const { host, check } = await running({ url, refresh: "10s", kind: "ip" });
  body = "no address at all\n";
  await host.advance(10_000);
  await host.advance(10_000);
  t.is(host.events.get("refresh_failed"), 2);
  t.true(check("10.1.1.1").allow);
  body = "192.0.2.0/24\n";
  await host.advance(10_000);
  t.true(check("192.0.2.1").allow);
  t.is(host.events.get("refresh_failed"), 2);
});

test("a URL that cannot be reached is named, with the reason", async (t) => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  const url = `http://127.0.0.1:${port}/list`;
  await t.throwsAsync(running({ url }), {
    message: `${url} could not be fetched: connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});

test("a redirect is followed", async (t) => {
  const url = await served(t, (request, response) => {
    if (request.url === "/old") response.writeHead(302, { location: "/new" }).end();
    else response.end("acme\n");
  });
  const { check } = await running({ url: `${url}/old` });
  t.true(check("acme").allow);
});

test("whatever goes wrong with a URL later leaves the last good list", async (t) => {
  let answer: (response: ServerResponse) => void = (response) => response.end("acme\n");
  const url = await served(t, (_request, response) => answer(response));
  const { host, check } = await running({ url, refresh: "10s", maxBytes: "1KB" });
  const wrong: (typeof answer)[] = [
    (response) => response.writeHead(500).end("oops"),
    (response) => response.writeHead(204).end(),
    (response) => response.destroy(),
    (response) => response.end("x".repeat(1001)),
    (response) => response.end(Buffer.from([0xff])),
    (response) => response.writeHead(302, { location: "/" }).end(),
  ];
  for (const [i, next] of wrong.entries()) {
    answer = next;
    await host.advance(10_000);
    t.is(host.events.get("refresh_failed"), i + 1, `case ${i}`);
    t.true(check("acme").allow);
  }
  answer = (response) => response.end("globex\n");
  await host.advance(10_000);
  t.true(check("globex").allow);
});

test("a URL that falls silent, before or within its answer, leaves the last good list", async (t) => {
  let answer: (response: ServerResponse) => void = (response) => response.end("acme\n");
  const url = await served(t, (_request, response) => answer(response));
  const { host, check } = await running({ url, refresh: "10s", timeout: "1s" });
  for (const [i, next] of [() => undefined, (response: ServerResponse) => void response.write("globex\n")].entries()) {
    answer = next;
    await host.advance(10_000);
    t.is(host.events.get("refresh_failed"), i + 1);
    t.true(check("acme").allow);
  }
});

test("a URL that never ends is cut off at maxBytes", async (t) => {
  let sent = 0;
  const url = await served(t, (_request, response) => {
    const pump = (): void => {
      while (!response.destroyed && response.write("x".repeat(1000))) sent += 1000;
      if (!response.destroyed) response.once("drain", pump);
    };
    pump();
  });
  await t.throwsAsync(running({ url, maxBytes: "10KB" }), { message: /more than 10000 bytes/ });
  t.true(sent < 50_000_000);
});

test("a URL that does not answer fails the start, and says why", async (t) => {
  const silent = await served(t, () => undefined);
  await t.throwsAsync(running({ url: silent, timeout: "50ms" }), { message: /did not answer within 50 ms/ });
  const broken = await served(t, (_request, response) => response.writeHead(404).end());
  await t.throwsAsync(running({ url: broken }), { message: /status 404/ });
});

test("no refresh runs on after the instance is closed", async (t) => {
  let asked = 0;
  const url = await served(t, (_request, response) => {
    asked++;
    response.end("acme\n");
  });
  const { host } = await running({ url, refresh: "10s" });
  host.close();
  await host.advance(100_000);
  t.is(asked, 1);
});

test("entries in place and in a file are checked before an instance is made, each at its place", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-list-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const inspect = (config: Config) => list.inspect!(list.config.parse(config), folder);
  await writeFile(join(folder, "nets.txt"), "# nets\r\n10.0.0.0/8\r\n\r\n  10.0.0.300\r\n2001:db8::/129\n");
  t.deepEqual(await inspect({ kind: "ip", entries: ["::1", "nowhere"], file: "nets.txt" }), [
    { message: '"nowhere" is no IP address and no range', path: ["entries", 1] },
    {
      message: '"10.0.0.300" is no IP address and no range',
      at: { file: join(folder, "nets.txt"), line: 4, column: 3, length: 10, text: "  10.0.0.300" },
    },
    {
      message: '"2001:db8::/129" is no IP address and no range',
      at: { file: join(folder, "nets.txt"), line: 5, column: 1, length: 14, text: "2001:db8::/129" },
    },
  ]);
  t.deepEqual(await inspect({ file: "nets.txt" }), []);
  t.like(await inspect({ kind: "regex", entries: ["a", "(b"] }), [{ path: ["entries", 1] }]);
  for (const config of [{ file: "gone.txt" }, { file: "nets.txt", maxBytes: 10 }]) {
    const [issue, ...others] = await inspect(config);
    t.deepEqual([issue!.path, others], [["file"], []]);
    t.true(issue!.message.startsWith("the list could not be read: "));
  }
  await writeFile(join(folder, "many.txt"), "x\n".repeat(1001));
  t.like(await inspect({ kind: "regex", file: "many.txt" }), [{ path: ["file"] }]);
  await writeFile(join(folder, "bad.txt"), "x\n".repeat(1001));
  t.is((await inspect({ kind: "ip", file: "bad.txt" })).length, 20);
});

test("the README has every key of the configuration", (t) => {
  const [example] = /(?<=```yaml\n)[^]*?(?=```)/.exec(readFileSync("adapters/list/README.md", "utf8"))!;
  const { adapters } = parse(example) as { adapters: Record<string, object> };
  const keys = new Set(Object.values(adapters).flatMap((entry) => Object.keys(entry)));
  t.deepEqual([...keys].sort(), ["adapter", ...Object.keys(list.config.shape)].sort());
});
