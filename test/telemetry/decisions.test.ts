import test from "ava";
import { Fault } from "../../src/attributes/fault.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import { attributesRead } from "../../src/telemetry/decisions/attributes-read.ts";
import { createDecisionLog, type NotedDecision } from "../../src/telemetry/decisions/decision-log.ts";
import { createRecentRefusals } from "../../src/telemetry/decisions/recent-refusals.ts";
import type { LogEntry } from "../../src/sdk/index.ts";
import type { ExportQueue } from "../../src/telemetry/queues/queue.ts";
import { bagOf } from "../attributes/bag-of.ts";
import { heapBytes } from "../heap-bytes.ts";

test("what a decision rests on is told by name; secrets are masked, absences and faults are said", (t) => {
  const layout = new Layout();
  const read = [
    layout.declare("request.path", "string"),
    layout.declare("source.principal", "string"),
    layout.declare("source.port", "int64"),
    layout.declare("request.api_key", "string"),
    layout.declareKey("request.headers", "x-user"),
    layout.declareKey("request.headers", "authorization"),
    layout.declareKey("request.headers", "cookie"),
    layout.declareKey("request.headers", "referer"),
  ];
  layout.declare("request.method", "string");
  const whole = layout.declareWhole("source.labels");
  const bag = bagOf(
    { layout, vocabulary: standardVocabulary },
    {
      "request.path": "/".padEnd(1000, "x"),
      "request.method": "GET",
      "source.port": new Fault("came with another type"),
      "request.api_key": "k",
      "request.headers": {
        "x-user": "ann",
        authorization: "Bearer x",
        cookie: "c",
        referer: "https://a/?q=1&access_token=t",
      },
      "source.labels": { app: "web", "api-token": "t" },
    },
  );
  for (const slot of read) bag.get(slot);
  bag.getWhole(whole);
  bag.getKey(whole, "version");
  t.deepEqual(JSON.parse(JSON.stringify(attributesRead(bag, bag.reads(), new Set(["cookie"])))), {
    "request.path": `${"/".padEnd(256, "x")}...`,
    "source.principal": null,
    "source.port": { fault: "came with another type" },
    "request.api_key": "***",
    "request.headers": {
      "x-user": "ann",
      authorization: "***",
      cookie: "c",
      referer: "https://a/?q=1&access_token=***",
    },
    "source.labels": { app: "web", "api-token": "***", version: null },
  });
});

test("keys that callers make up are cut like values", (t) => {
  const layout = new Layout();
  const labels = layout.declareWhole("source.labels");
  const bag = bagOf({ layout, vocabulary: standardVocabulary }, { "source.labels": { ["k".repeat(1e6)]: "v" } });
  bag.getWhole(labels);
  bag.getKey(labels, "l".repeat(1e6));
  t.deepEqual(JSON.parse(JSON.stringify(attributesRead(bag, bag.reads(), new Set()))), {
    "source.labels": { [`${"k".repeat(256)}...`]: "v", [`${"l".repeat(256)}...`]: null },
  });
});

test("refusals that are kept hold nothing of the messages that their texts were cut out of", (t) => {
  const recent = createRecentRefusals(100);
  const before = heapBytes();
  for (let i = 0; i < 100; i++) recent.add({ path: String(i).padEnd(1e6, "x").slice(0, 256) });
  t.true(heapBytes() - before < 20e6);
  t.is(recent.list().length, 100);
});

const decision = (allowed: boolean): NotedDecision => ({
  id: "0".repeat(32),
  version: "v",
  allowed,
  code: allowed ? 0 : 7,
  message: allowed ? "" : "no",
  rules: allowed ? [] : ["p/r"],
  observed: [],
  limits: [],
  validForMs: 5000,
});

function logOf(settings: { sample?: number; refused?: number }, room = 100) {
  const entries: LogEntry[] = [];
  const dropped: string[] = [];
  const recent = createRecentRefusals(3);
  let nowMs = 1_800_000_000_000;
  let draw = 0;
  const log = createDecisionLog({
    settings: { sample: 1, refused: 1, reveal: new Set(), recent: 3, ...settings },
    queue: {
      get room() {
        return room - entries.length;
      },
      push: (entry: LogEntry) => void entries.push(entry),
    } as ExportQueue<LogEntry>,
    recent,
    observer: { dropped: (what: string, reason: string) => void dropped.push(`${what} ${reason}`) } as never,
    now: () => nowMs,
    random: () => (draw++ % 10) / 10,
  });
  const note = (allowed: boolean, times = 1): void => {
    for (let i = 0; i < times; i++)
      log.note("http", "10.0.0.1", decision(allowed), { tookMs: 1.23456, adapters: [] }, () => ({}));
  };
  return { entries, dropped, recent, note, pass: (ms: number) => void (nowMs += ms) };
}

test("a decision is logged with what it says, its code by name", (t) => {
  const { entries, note } = logOf({});
  note(false);
  t.deepEqual(entries, [
    {
      name: "decision",
      timeMs: 1_800_000_000_000,
      severity: "info",
      fields: {
        id: "0".repeat(32),
        door: "http",
        caller: "10.0.0.1",
        allowed: false,
        code: "permission_denied",
        message: "no",
        rules: ["p/r"],
        attributes: {},
        valid_for_ms: 5000,
        took_ms: 1.235,
        version: "v",
      },
    },
  ]);
});

test("a sample is that share of the decisions, refusals apart", (t) => {
  const { entries, note } = logOf({ sample: 0.3, refused: 0 });
  note(true, 100);
  note(false, 100);
  t.is(entries.length, 30);
});

test("beyond the queue's room a decision is not logged, and counted", (t) => {
  const { entries, dropped, note } = logOf({}, 2);
  note(true, 3);
  t.is(entries.length, 2);
  t.deepEqual(dropped, ["decision queue_full"]);
});

test("the last refusals are kept, the latest first, and of a flood a hundred a second", (t) => {
  const { recent, note, pass } = logOf({ refused: 0 });
  note(true);
  note(false, 100);
  const [last] = recent.list();
  t.is(recent.list().length, 3);
  pass(999);
  note(false);
  t.is(recent.list()[0], last);
  pass(1);
  note(false);
  t.is((recent.list()[0] as { time: string }).time, "2027-01-15T08:00:01.000Z");
});
