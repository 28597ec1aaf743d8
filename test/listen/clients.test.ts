import test from "ava";
import { createClients } from "../../src/listen/client.ts";
import { nameList } from "../../src/listen/name-list.ts";

const find = createClients([
  { name: "spiffe://a.example/*", doors: [] },
  { name: "spiffe://a.example/ns/shop/*", doors: ["mixer"] },
  { name: "spiffe://a.example/ns/shop/sa/web", doors: ["mixer", "stream"], attributes: ["request.*", "source.ip"] },
  { name: "web.example", domains: ["edge", "shop-*"] },
]);

const found = (spiffe: string | undefined, ...dns: string[]) => find({ spiffe, dns })?.name;

test("a whole name goes before a beginning, a longer beginning before a shorter, a SPIFFE id before DNS", (t) => {
  t.is(found("spiffe://a.example/ns/shop/sa/web", "web.example"), "spiffe://a.example/ns/shop/sa/web");
  t.is(found("spiffe://a.example/ns/shop/sa/web2"), "spiffe://a.example/ns/shop/*");
  t.is(found("spiffe://a.example/ns/other/sa/web"), "spiffe://a.example/*");
  t.is(found("spiffe://b.example/ns/shop/sa/web", "web.example"), "web.example");
  t.is(found(undefined, "other.example", "web.example"), "web.example");
});

test("nobody else is found", (t) => {
  for (const spiffe of [
    undefined,
    "spiffe://a.example",
    "spiffe://a.example.evil/ns/shop/x",
    "spiffe://",
    "web.example",
  ])
    t.is(found(spiffe), undefined);
  for (const dns of ["spiffe://a.example/ns/shop/sa/web", "x.web.example", "web.example.", "*"]) {
    t.is(found(undefined, dns), undefined);
  }
});

test("a client has what its entry says, all where it says nothing, and health always", (t) => {
  const web = find({ spiffe: "spiffe://a.example/ns/shop/sa/web", dns: [] })!;
  t.deepEqual(
    ["mixer", "stream", "health", "reflection"].map((door) => web.mayUse(door)),
    [true, true, true, false],
  );
  t.deepEqual(
    ["request.path", "source.ip", "source.ip2", "source", "request"].map((name) => web.maySet(name)),
    [true, true, false, false, false],
  );
  t.true(web.maySpeakFor("anything"));
  const none = find({ spiffe: "spiffe://a.example/x", dns: [] })!;
  t.deepEqual([none.mayUse("mixer"), none.mayUse("health"), none.maySet("request.path")], [false, true, true]);
  const dns = find({ spiffe: undefined, dns: ["web.example"] })!;
  t.deepEqual(
    ["edge", "edges", "shop-1", "shop"].map((domain) => dns.maySpeakFor(domain)),
    [true, false, true, false],
  );
});

test("a list of names without names lets none pass, and one with * alone all", (t) => {
  t.false(nameList([])("x"));
  t.true(nameList(["*"])("x"));
  t.true(nameList(undefined)("x"));
});
