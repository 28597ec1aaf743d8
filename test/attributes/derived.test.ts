import test from "ava";
import fc from "fast-check";
import { Bag } from "../../src/attributes/bag.ts";
import { completionOf } from "../../src/attributes/derived.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { queryNames } from "../../src/attributes/query-params.ts";
import { setMap } from "../../src/attributes/set-map.ts";
import { referencesOf, referenceText } from "../../src/wire/references.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const layout = new Layout();
const urlPath = layout.declare("request.url_path", "string");
const key = layout.declareKey("request.query_params", "q");
const params = layout.declareWhole("request.query_params");
const path = layout.find("request.path")!;
const complete = completionOf(layout)!;

function bagWith(values: Readonly<Record<string, string | Fault | ReadonlyMap<string, string>>>): Bag {
  const bag = new Bag(layout);
  for (const [name, value] of Object.entries(values)) {
    if (value instanceof Map) setMap(bag, name, value);
    else bag.set(layout.find(name)!, value as string);
  }
  complete(bag);
  return bag;
}

const references = (bag: Bag): string[] => referencesOf(bag, bag.reads()).map(referenceText).sort();

test("nothing is completed where no rule reads what would be", (t) => {
  const other = new Layout();
  other.declare("request.path", "string");
  other.declare("request.method", "string");
  t.is(completionOf(other), undefined);
});

test("an absent path is made of the path as received, and rests on that", (t) => {
  const bag = bagWith({ "request.path": "//a/../b?c" });
  t.deepEqual(references(bag), []);
  t.is(bag.get(urlPath), "/b");
  t.deepEqual(references(bag), ["-request.url_path", "request.path"]);
});

test("a path that is there is put into its form, and rests on itself", (t) => {
  const bag = bagWith({ "request.path": "/other", "request.url_path": "//a/./b" });
  t.is(bag.get(urlPath), "/a/b");
  t.deepEqual(references(bag), ["request.url_path"]);
});

test("without either, the answer rests on the absence of both", (t) => {
  const bag = bagWith({});
  t.is(bag.get(urlPath), undefined);
  t.deepEqual(references(bag), ["-request.path", "-request.url_path"]);
});

test("a path that can be read in two ways is a fault, and so is one of another type", (t) => {
  t.true(bagWith({ "request.path": "/a/..;/b" }).get(urlPath) instanceof Fault);
  const fault = new Fault("request.path came as a number");
  t.is(bagWith({ "request.path": fault }).get(urlPath), fault);
  t.is(bagWith({ "request.path": fault }).get(key), fault);
});

test("parameters are made of the query, by key and whole", (t) => {
  const bag = bagWith({ "request.path": "/a?q=1%20b&q=1+b&r=+" });
  t.is(bag.get(key), "1 b");
  t.deepEqual(references(bag), ["-request.query_params", "request.path"]);
  bag.clearReads();
  t.deepEqual(bag.getWhole(params), new Map(Object.entries({ q: "1 b", r: " " })));
  t.deepEqual(references(bag), ["-request.query_params", "request.path"]);
  bag.clearReads();
  t.is(bag.getKey(params, "none"), undefined);
  t.deepEqual(references(bag), ["-request.query_params", "request.path"]);
});

test("a second question mark is a part of a parameter's name", (t) => {
  const bag = bagWith({ "request.path": "/a??q=1" });
  t.is(bag.get(key), undefined);
  t.deepEqual(bag.getWhole(params), new Map(Object.entries({ "?q": "1" })));
});

test("names of parameters are found with every way in which they are spelled", (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom(..."&=?%+41zA#"), maxLength: 8 })), (parts) => {
      const query = parts.join("&");
      const expected = new Map<string, Set<string>>();
      for (const part of query.split("&")) {
        for (const name of new URLSearchParams(`&${part}`).keys())
          expected.set(name, (expected.get(name) ?? new Set()).add(part.split("=", 1)[0]!));
      }
      t.deepEqual(queryNames(`/x?${query}`), expected);
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.deepEqual(queryNames("/x"), new Map());
});

test("a parameter that comes with several values is a fault by its name, since services differ in which they take", (t) => {
  const bag = bagWith({ "request.path": "/a?q=1&r=1&r=2&%71=2" });
  t.true(bag.get(key) instanceof Fault);
  t.deepEqual(bag.getWhole(params), new Map(Object.entries({ q: "1", r: "1" })));
});

test("behind a fragment no parameter is sure, nor that there is none", (t) => {
  const bag = bagWith({ "request.path": "/a?x=1#&q=2" });
  t.true(bag.get(key) instanceof Fault);
  t.true(bag.getWhole(params) instanceof Fault);
});

const completedHost = (name: string, given: string | Fault): unknown => {
  const hosts = new Layout();
  const host = hosts.declare(name, "string");
  const bag = new Bag(hosts);
  bag.set(host, given);
  completionOf(hosts)!(bag);
  return bag.get(host);
};

test("a host that is written in one way already counts as what it was, and the path is completed beside it", (t) => {
  const layout = new Layout();
  const host = layout.declare("request.host", "string");
  const path = layout.declare("request.path", "string");
  const urlPath = layout.declare("request.url_path", "string");
  const bag = new Bag(layout);
  bag.set(host, "shop.example");
  const turn = bag.endTurn();
  bag.set(path, "/a//b");
  completionOf(layout)!(bag);
  t.is(bag.get(urlPath), "/a/b");
  t.false(bag.isSetSince(host, turn));
});

test("a server name of TLS is written in one way, however its caller wrote it", (t) => {
  const completed = (given: string): unknown => completedHost("connection.requested_server_name", given);
  t.is(completed("shop.example"), "shop.example");
  t.is(completed("Shop.EXAMPLE"), "shop.example");
  t.is(completed("shop.example."), "shop.example");
});

test("a host is in lower case and without a dot at its end, whoever wrote it", (t) => {
  const completed = (given: string | Fault): unknown => completedHost("request.host", given);
  t.is(completed("shop.example"), "shop.example");
  t.is(completed("Shop.EXAMPLE"), "shop.example");
  t.is(completed("shop.example."), "shop.example");
  t.is(completed("SHOP.example.:8443"), "shop.example:8443");
  t.is(completed("[2001:DB8::1]:80"), "[2001:db8::1]:80");
  t.true(completed("shop.example,admin.example") instanceof Fault, "of two headers");
  const fault = new Fault("request.host came as a number");
  t.is(completed(fault), fault);
});

test("parameters that are there stay as they are", (t) => {
  const bag = bagWith({ "request.path": "/a?q=1", "request.query_params": new Map([["q", "2"]]) });
  t.is(bag.get(key), "2");
  t.deepEqual(references(bag), ["request.query_params[q]"]);
});

test("what was made for one record is made anew for the next, unless that brings it", (t) => {
  const bag = bagWith({ "request.path": "/a?q=1" });
  bag.set(path, "/b?q=2");
  complete(bag);
  t.deepEqual([bag.get(urlPath), bag.get(key)], ["/b", "2"]);
  bag.set(urlPath, "/c//d");
  complete(bag);
  t.is(bag.get(urlPath), "/c/d");
  bag.set(path, "/e");
  complete(bag);
  t.is(bag.get(urlPath), "/c/d");
  bag.clear();
  bag.set(path, "/f");
  complete(bag);
  t.is(bag.get(urlPath), "/f");
});
