import test from "ava";
import { Connections } from "../../../../src/wire/envoy/access-log/connections.ts";

const hubStartMs = 1000;
const at = (receivedBytes: number, sentBytes: number, startMs = 2000) => ({ receivedBytes, sentBytes, startMs });
const unknown = { received: 0, sent: 0, isFirst: false, isUnknown: true };

test("an entry adds what is new since the one before", (t) => {
  const connections = new Connections(hubStartMs);
  t.deepEqual(connections.difference("a", at(10, 100), 0), {
    received: 10,
    sent: 100,
    isFirst: true,
    isUnknown: false,
  });
  connections.remember("a", 10, 100, 2000);
  const second = { received: 5, sent: 50, isFirst: false, isUnknown: false };
  t.deepEqual(connections.difference("a", at(15, 150), 0), second);
  t.deepEqual(connections.difference("a", at(15, 150), 0), second, "asking changes nothing");
});

test("an entry that was overtaken takes nothing back", (t) => {
  const connections = new Connections(hubStartMs);
  connections.remember("a", 10, 100, 2000);
  connections.remember("a", 4, 40, 2000);
  t.deepEqual(connections.difference("a", at(4, 40), 0), {
    received: 0,
    sent: 0,
    isFirst: false,
    isUnknown: false,
  });
  t.is(connections.difference("a", at(12, 100), 0).received, 2);
});

test("what is new is unknown of a connection that is older than the hub, unless nothing can have come before", (t) => {
  const connections = new Connections(hubStartMs);
  t.deepEqual(connections.difference("old", at(10, 100, 500), 0), unknown);
  t.is(connections.difference("old", at(10, 100, 500), undefined).received, 10);
  connections.remember("old", 10, 100, 500);
  t.is(connections.difference("old", at(12, 100, 500), 0).received, 2);
});

test("of too many connections the one not heard of for longest is forgotten, and so unknown when it goes on", (t) => {
  const connections = new Connections(hubStartMs, 2);
  connections.remember("a", 1, 1, 2000);
  connections.remember("b", 1, 1, 3000);
  connections.remember("a", 2, 2, 2000);
  connections.remember("c", 1, 1, 4000);
  t.is(connections.size, 2);
  t.deepEqual(connections.difference("b", at(9, 9, 3000), 0), unknown);
  t.is(connections.difference("a", at(9, 9, 2000), 0).received, 7);
  t.true(connections.difference("new", at(9, 9, 3001), 0).isFirst);
});

test("what is new is unknown of a connection that is older than its log, unless nothing can have come before", (t) => {
  const connections = new Connections(hubStartMs);
  t.deepEqual(connections.difference("moved", at(10, 100, 2000), 2001), unknown);
  t.true(connections.difference("moved", at(10, 100, 2000), 2000).isFirst);
  connections.remember("moved", 10, 100, 2000);
  t.is(connections.difference("moved", at(12, 100, 2000), 2001).received, 2);
});

test("an entry that comes after the end adds nothing, as long as that is remembered", (t) => {
  const connections = new Connections(hubStartMs);
  connections.end("a");
  t.true(connections.hasEnded("a"));
  t.deepEqual(connections.difference("a", at(10, 100), 0), {
    received: 0,
    sent: 0,
    isFirst: false,
    isUnknown: false,
  });
  for (let i = 0; i < 4096; i++) connections.end(`b${i}`);
  t.false(connections.hasEnded("a"));
});

test("an end is forgotten", (t) => {
  const connections = new Connections(hubStartMs);
  connections.remember("a", 1, 1, 2000);
  connections.end("a");
  t.is(connections.size, 0);
});

test("long ids that differ only at their ends are two connections", (t) => {
  const connections = new Connections(hubStartMs);
  const proxy = "sidecar~".padEnd(300, "x");
  connections.remember(`${proxy}\n1`, 5, 5, 2000);
  t.true(connections.difference(`${proxy}\n2`, at(3, 3), undefined).isFirst);
  t.is(connections.difference(`${proxy}\n1`, at(8, 8), undefined).received, 3);
  connections.end(`${proxy}\n1`);
  t.is(connections.size, 0);
});
