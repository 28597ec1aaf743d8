import test from "ava";
import fc from "fast-check";
import type { Bag } from "../../../src/attributes/bag.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import { standardVocabulary } from "../../../src/attributes/standard-vocabulary.ts";
import { doorSettings } from "../../../src/policy/schema/doors.ts";
import type { Asked, Decision, QuotaOutcome } from "../../../src/runtime/decision.ts";
import type { RecordOutcome } from "../../../src/telemetry/outcome.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import type { Call, Unary } from "../../../src/wire/call.ts";
import type { CompressedAttributes } from "../../../src/wire/gen/istio/mixer/v1/attributes.ts";
import {
  CheckRequest,
  CheckResponse,
  HeaderOperation_Operation,
  ReferencedAttributes,
  ReferencedAttributes_Condition,
  ReportRequest,
} from "../../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { globalIndex, globalWords } from "../../../src/wire/mixer/dictionary.ts";
import { createMixerDoor } from "../../../src/wire/mixer/mixer-door.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { allowed as allow, noReads } from "../grpc/fake-session.ts";
import { hostileBytes } from "../hostile-bytes.ts";
import { compress, type Sent } from "./compress.ts";

const layout = new Layout();
const slot = {
  namespace: layout.declare("source.namespace", "string"),
  ip: layout.declare("source.ip", "ip"),
  version: layout.declare("context.proxy_version", "string"),
  plan: layout.declare("own.plan", "string"),
  code: layout.declare("response.code", "int64"),
  user: layout.declareKey("request.headers", "x-user"),
  agent: layout.declareKey("request.headers", "user-agent"),
  odd: layout.declareKey("request.headers", "source.ip"),
  claim: layout.declareKey("request.auth.claims", "sub"),
  labels: layout.declareWhole("source.labels"),
};

const allowed = allow();

const refused: Decision = { ...allowed, allowed: false, code: 7, message: "no", rules: ["a/b"] };

const call: Call = {
  peer: "10.9.9.9",
  signal: new AbortController().signal,
  header: () => undefined,
};

interface Behaviour {
  check?(bag: Bag, asked: Asked): Decision | Promise<Decision>;
  report?(bag: Bag): RecordOutcome;
  commit?(): Promise<void> | undefined;
}

/** A door on a hub that does as `behaviour` says, and what the hub and its log were told. */
function doorOn(behaviour: Behaviour) {
  const told = { opened: 0, ended: 0, dropped: [] as unknown[], warnings: [] as object[] };
  const nothing = () => {};
  const door = createMixerDoor({
    open() {
      told.opened++;
      return {
        layout,
        reportLayout: layout,
        vocabulary: standardVocabulary,
        version: "v1",
        doors: doorSettings(undefined),
        rateLimit: () => {
          throw new Error("no such door is here");
        },
        check: behaviour.check ?? (() => allowed),
        report: behaviour.report ?? (() => "taken"),
        hold: () => Promise.reject(new Error("nothing is held here")),
        commit: behaviour.commit ?? (() => undefined),
        notTried: nothing,
        end: () => void told.ended++,
      };
    },
    observer: {
      call: nothing,
      decision: nothing,
      refusal: nothing,
      ruleFault: nothing,
      limitDegraded: nothing,
      adapterCall: nothing,
      quotaUse: nothing,
      adapterEvent: nothing,
      dropped: (what, reason, by) => void told.dropped.push([what, reason, by]),
      callerRefused: nothing,
      reload: nothing,
    },
    log: { debug: nothing, info: nothing, warn: (fields) => void told.warnings.push(fields), error: nothing },
  });
  const checkBytes = door.unary.get("/istio.mixer.v1.Mixer/Check")!;
  const reportBytes = door.unary.get("/istio.mixer.v1.Mixer/Report")!;
  return {
    told,
    checkBytes,
    reportBytes,
    async check(request: Partial<CheckRequest>, by: Call = call): Promise<CheckResponse> {
      const message = CheckRequest.encode(CheckRequest.fromPartial({ globalWordCount: 222, ...request })).finish();
      return CheckResponse.decode(await checkBytes(message, by));
    },
    report(request: Partial<ReportRequest>): Uint8Array {
      const message = ReportRequest.encode(ReportRequest.fromPartial({ globalWordCount: 222, ...request })).finish();
      return reportBytes(message, call) as Uint8Array;
    },
  };
}

/** A check that reads some slots and then answers. */
function reading(slots: readonly number[], decision: Decision = allowed): Behaviour {
  return {
    check(bag) {
      for (const index of slots) bag.get(index);
      return { ...decision, reads: bag.reads() };
    },
  };
}

/** References in words: `name`, `-name`, `name[key]`. */
function referenceTexts(references: ReferencedAttributes | undefined): string[] {
  const word = (index: number) => (index >= 0 ? globalWords[index] : references!.words[-index - 1]);
  return references!.attributeMatches.map(
    ({ name, mapKey, condition }) =>
      (condition === ReferencedAttributes_Condition.ABSENCE ? "-" : "") +
      word(name) +
      (mapKey === 0 ? "" : `[${word(mapKey)}]`),
  );
}

const request = compress({
  "source.namespace": { string: "reviews" },
  "own.plan": { string: "gold" },
  "request.headers": { map: { "x-user": "ann" } },
});

test("the attributes of a check arrive in the slots of the snapshot", async (t) => {
  t.plan(3);
  const { check } = doorOn({
    check(bag) {
      t.is(bag.peek(slot.namespace), "reviews");
      t.is(bag.peek(slot.plan), "gold");
      t.is(bag.peek(slot.user), "ann");
      return allowed;
    },
  });
  await check({ attributes: request });
});

test("attributes that come in two parts are one set", async (t) => {
  t.plan(2);
  const { checkBytes } = doorOn({
    check(bag) {
      t.is(bag.peek(slot.namespace), "reviews");
      t.is(bag.peek(slot.plan), "gold");
      return allowed;
    },
  });
  const part = (attributes: Record<string, Sent>, words?: string[]) =>
    CheckRequest.encode(CheckRequest.fromPartial({ attributes: compress(attributes, words) })).finish();
  const first = CheckRequest.encode(
    CheckRequest.fromPartial({ attributes: compress({ "own.plan": { string: "gold" } }) }),
  ).finish();
  await checkBytes(
    Buffer.concat([
      first,
      part({ "source.namespace": { string: "reviews" } }, ["own.plan", "gold", "reviews"]),

      Buffer.from([0x0a, 9, 0x0a, 7, ...Buffer.from("reviews")]),
    ]),
    call,
  );
});

test("a check that passes is OK with its duration and use count", async (t) => {
  const { precondition, quotas } = await doorOn({}).check({ attributes: request });
  t.like(precondition, {
    status: { code: 0, message: "", details: [] },
    validDuration: { seconds: 5n, nanos: 0 },
    validUseCount: 10_000,
  });
  t.is(precondition?.routeDirective, undefined);
  t.is(quotas.size, 0);
});

test("a duration is sent in seconds and nanoseconds, and always", async (t) => {
  const short = await doorOn({ check: () => ({ ...allowed, validForMs: 1500.5, validUses: 2 ** 40 }) }).check({});
  t.deepEqual(short.precondition?.validDuration, { seconds: 1n, nanos: 500_500_000 });
  t.is(short.precondition?.validUseCount, 2 ** 31 - 1);
  const never = await doorOn({ check: () => ({ ...allowed, validForMs: 0, validUses: 0 }) }).check({});
  t.deepEqual(never.precondition?.validDuration, { seconds: 0n, nanos: 0 });
  t.is(never.precondition?.validUseCount, 0);
});

test("a refusal is a status inside an answer that is OK", async (t) => {
  const { precondition, quotas } = await doorOn({ check: () => refused }).check({});
  t.like(precondition, { status: { code: 7, message: "no" }, validDuration: { seconds: 5n }, validUseCount: 10_000 });
  t.is(precondition?.routeDirective, undefined);
  t.is(quotas.size, 0);
});

test("header operations of a request that passes travel as a route directive", async (t) => {
  const { precondition } = await doorOn({
    check: () => ({
      ...allowed,
      requestHeaders: [
        { operation: "set", name: "x-plan", value: "gold" },
        { operation: "append", name: "x-seen", value: "weir" },
        { operation: "remove", name: "x-secret", value: "" },
      ],
      responseHeaders: [{ operation: "set", name: "x-by", value: "" }],
    }),
  }).check({});
  const { REPLACE, APPEND, REMOVE } = HeaderOperation_Operation;
  t.deepEqual(precondition?.routeDirective, {
    requestHeaderOperations: [
      { name: "x-plan", value: "gold", operation: REPLACE },
      { name: "x-seen", value: "weir", operation: APPEND },
      { name: "x-secret", value: "", operation: REMOVE },
    ],
    responseHeaderOperations: [{ name: "x-by", value: "", operation: REPLACE }],
    directResponseCode: 0,
    directResponseBody: "",
  });
});

test("a direct response travels with its code, body and headers", async (t) => {
  const headers = [
    { name: "location", value: "/login" },
    { name: "Set-Cookie", value: "a=1" },
    { name: "set-cookie", value: "b=2" },
  ];
  const { precondition } = await doorOn({
    check: () => ({ ...refused, http: { status: 302, body: "go", headers } }),
  }).check({});
  const { REPLACE, APPEND } = HeaderOperation_Operation;
  t.deepEqual(precondition?.routeDirective, {
    requestHeaderOperations: [],
    responseHeaderOperations: [
      { ...headers[0]!, operation: REPLACE },
      { ...headers[1]!, operation: REPLACE },
      { ...headers[2]!, operation: APPEND },
    ],
    directResponseCode: 302,
    directResponseBody: "go",
  });
});

for (const [code, status] of [
  [1, 499],
  [7, 403],
  [8, 429],
  [9, 400],
  [14, 503],
  [16, 401],
] as const) {
  test(`a direct response without a status has the one that proxies give for code ${code}: ${status}`, async (t) => {
    const { precondition } = await doorOn({ check: () => ({ ...refused, code, http: { headers: [] } }) }).check({});
    t.is(precondition?.routeDirective?.directResponseCode, status);
    t.is(precondition?.routeDirective?.directResponseBody, "no");
  });
}

test("what was read is referenced: present, absent, keys of maps", async (t) => {
  const { check } = doorOn(reading([slot.namespace, slot.ip, slot.user, slot.agent]));
  const { precondition } = await check({ attributes: request });
  t.deepEqual(referenceTexts(precondition?.referencedAttributes), [
    "source.namespace",
    "-source.ip",
    "request.headers[x-user]",
    "-request.headers[user-agent]",
  ]);
  t.is(precondition?.validUseCount, 10_000);
});

test("computed keys of a map are referenced", async (t) => {
  const labels = compress({ "source.labels": { map: { app: "a" } } });
  const { check } = doorOn({
    check(bag) {
      for (const key of ["app", "version", "app"]) bag.getKey(slot.labels, key);
      return { ...allowed, reads: bag.reads() };
    },
  });
  const { precondition } = await check({ attributes: labels });
  t.deepEqual(referenceTexts(precondition?.referencedAttributes), ["source.labels[app]", "-source.labels[version]"]);
  t.is(precondition?.validUseCount, 10_000);
});

test("an answer that rests on an absent map names the map and must not be kept", async (t) => {
  const { check } = doorOn(reading([slot.claim, slot.namespace]));
  const { precondition } = await check({ attributes: request });
  t.deepEqual(referenceTexts(precondition?.referencedAttributes).sort(), ["-request.auth.claims", "source.namespace"]);
  t.deepEqual(precondition?.validDuration, { seconds: 0n, nanos: 0 });
  t.is(precondition?.validUseCount, 0);
});

test("an answer that rests on a map as a whole must not be kept", async (t) => {
  const { check } = doorOn({
    check(bag) {
      bag.getWhole(slot.labels);
      return { ...allowed, reads: bag.reads() };
    },
  });
  const { precondition } = await check({ attributes: compress({ "source.labels": { map: { app: "a" } } }) });
  t.deepEqual(precondition?.validDuration, { seconds: 0n, nanos: 0 });
  t.is(precondition?.validUseCount, 0);
});

test("words of an answer are global ones only as far as the caller knows them", async (t) => {
  const version = globalIndex.get("context.proxy_version")!;
  const { check } = doorOn(reading([slot.namespace, slot.version, slot.plan]));
  const wordsFor = async (globalWordCount: number) => {
    const { precondition } = await check({ attributes: request, globalWordCount });
    const { words, attributeMatches } = precondition!.referencedAttributes!;
    t.is(referenceTexts(precondition?.referencedAttributes).length, 3);
    return [words, attributeMatches.map(({ name }) => name)];
  };
  t.deepEqual(await wordsFor(222), [["own.plan"], [globalIndex.get("source.namespace"), version, -1]]);
  t.deepEqual(await wordsFor(221), [
    ["context.proxy_version", "own.plan"],
    [globalIndex.get("source.namespace"), -1, -2],
  ]);
  t.deepEqual(await wordsFor(0), [
    ["source.namespace", "context.proxy_version", "own.plan"],
    [-1, -2, -3],
  ]);
});

test("a key that is the global word 0 is not given by 0, which means no key", async (t) => {
  const { check } = doorOn(reading([slot.odd]));
  const { precondition } = await check({ attributes: request });
  t.deepEqual(
    precondition?.referencedAttributes?.attributeMatches.map(({ mapKey }) => mapKey),
    [-1],
  );
  t.deepEqual(referenceTexts(precondition?.referencedAttributes), ["-request.headers[source.ip]"]);
});

test("answers that differ in anything are told apart, however often they are asked for", async (t) => {
  let now: { decision: Decision; slots: readonly number[] };
  const { check } = doorOn({ check: (bag, asked) => reading(now.slots, now.decision).check!(bag, asked) });
  const decisions = [
    allowed,
    refused,
    { ...refused, message: "never" },
    { ...allowed, validForMs: 1 },
    { ...allowed, validUses: 1 },
  ];
  const slots = [[], [slot.namespace], [slot.namespace, slot.claim], [slot.user], [slot.ip]];
  const attributes = [compress({}), request, compress({ "request.auth.claims": { map: {} } })];
  for (let round = 0; round < 3; round++) {
    for (const decision of decisions)
      for (const read of slots)
        for (const sent of attributes)
          for (const globalWordCount of [0, 222]) {
            now = { decision, slots: read };
            const { precondition } = await check({ attributes: sent, globalWordCount });
            const fresh = await doorOn(reading(read, decision)).check({ attributes: sent, globalWordCount });
            t.deepEqual(precondition, fresh.precondition);
          }
  }
});

test("quotas are asked by name with amount, best effort and the deduplication id of the caller", async (t) => {
  t.plan(1);
  const carrier = { ...call, deadlineMs: 99 };
  const { check } = doorOn({
    check(_, asked) {
      t.deepEqual(asked, {
        carrier,
        deadlineMs: 99,
        dedupId: "id-1",
        caller: "10.9.9.9",
        quotas: new Map([
          ["a", { amount: 1, bestEffort: false }],
          ["b", { amount: 500, bestEffort: true }],
        ]),
      });
      return allowed;
    },
  });
  await check(
    {
      deduplicationId: "id-1",
      quotas: new Map([
        ["a", { amount: 1n, bestEffort: false }],
        ["b", { amount: 500n, bestEffort: true }],
      ]),
    },
    carrier,
  );
});

test("a check that names no quota asks for none", async (t) => {
  t.plan(1);
  await doorOn({ check: (_, asked) => (t.deepEqual(asked, { carrier: call }), allowed) }).check({
    attributes: request,
  });
});

test("each quota has its own amount, duration, status and references", async (t) => {
  const { check } = doorOn({
    check(bag) {
      bag.get(slot.namespace);
      const own = bag.reads();
      bag.get(slot.plan);
      const granted: QuotaOutcome = { granted: 5, validForMs: 1000, code: 0, message: "", reads: bag.reads() };
      const none: QuotaOutcome = { granted: 0, validForMs: 0, code: 8, message: "used up", reads: own };
      return {
        ...allowed,
        reads: own,
        quotas: new Map([
          ["a", granted],
          ["b", none],
        ]),
      };
    },
  });
  const { precondition, quotas } = await check({ attributes: request });
  t.is(precondition?.status?.code, 0);
  t.like(quotas.get("a"), { grantedAmount: 5n, validDuration: { seconds: 1n, nanos: 0 }, status: { code: 0 } });
  t.deepEqual(referenceTexts(quotas.get("a")?.referencedAttributes), ["source.namespace", "own.plan"]);
  t.like(quotas.get("b"), {
    grantedAmount: 0n,
    validDuration: { seconds: 0n, nanos: 0 },
    status: { code: 8, message: "used up" },
  });
  t.deepEqual(referenceTexts(quotas.get("b")?.referencedAttributes), ["source.namespace"]);
});

test("amounts that no limit can take are refused with what came, and nothing else is", async (t) => {
  const seen: unknown[] = [];
  const { check } = doorOn({
    check(_, { quotas }) {
      seen.push(...[...quotas!].map(([name, { amount }]) => [name, amount]));
      const outcome = (amount: number): QuotaOutcome => ({
        granted: amount,
        validForMs: 1,
        code: 0,
        message: "",
        reads: noReads,
      });
      return { ...allowed, quotas: new Map([...quotas!].map(([name, { amount }]) => [name, outcome(amount)])) };
    },
  });
  const { quotas } = await check({
    quotas: new Map([
      ["huge", { amount: 2n ** 63n - 1n, bestEffort: false }],
      ["deep", { amount: -(2n ** 63n), bestEffort: true }],
      ["fine", { amount: 9007199254740991n, bestEffort: false }],
    ]),
  });
  t.deepEqual(seen, [
    ["huge", NaN],
    ["deep", NaN],
    ["fine", 9007199254740991],
  ]);
  t.like(quotas.get("huge"), {
    grantedAmount: 0n,
    status: { code: 3, message: "expected an amount of 0 to 9007199254740991, got 9223372036854775807" },
  });
  t.like(quotas.get("deep"), {
    grantedAmount: 0n,
    status: { code: 3, message: "expected an amount of 0 to 9007199254740991, got -9223372036854775808" },
  });
  t.like(quotas.get("fine"), { grantedAmount: 9007199254740991n, status: { code: 0 } });
});

test("a negative amount is handed on, and what the hub says of it is the answer", async (t) => {
  const { check } = doorOn({
    check(_, { quotas }) {
      t.deepEqual([...quotas!], [["a", { amount: -5, bestEffort: false }]]);
      return {
        ...allowed,
        quotas: new Map([["a", { granted: 0, validForMs: 0, code: 3, message: "below 0", reads: noReads }]]),
      };
    },
  });
  const { quotas } = await check({ quotas: new Map([["a", { amount: -5n, bestEffort: false }]]) });
  t.like(quotas.get("a"), { grantedAmount: 0n, status: { code: 3, message: "below 0" } });
});

test("a decision may take its time, and its bag is not used for another check meanwhile", async (t) => {
  const release: (() => void)[] = [];
  const bags = new Set<Bag>();
  const { check, told } = doorOn({
    check(bag) {
      bags.add(bag);
      return new Promise((resolve) => {
        release.push(() => {
          bag.get(slot.namespace);
          resolve({ ...refused, message: String(bag.peek(slot.namespace)), reads: bag.reads() });
        });
      });
    },
  });
  const answers = ["a", "b", "c"].map((namespace) =>
    check({ attributes: compress({ "source.namespace": { string: namespace } }) }),
  );
  t.is(bags.size, 3);
  t.is(told.ended, 0);
  for (const go of release.reverse()) go();
  const messages = (await Promise.all(answers)).map(({ precondition }) => precondition?.status?.message);
  t.deepEqual(messages, ["a", "b", "c"]);
  t.is(told.ended, 3);
});

test("a session is ended once, whatever happens", async (t) => {
  const failing = doorOn({ check: () => Promise.reject(new Error("broken")) });
  await t.throwsAsync(failing.check({}), { message: "broken" });
  t.is(failing.told.ended, failing.told.opened);

  const throwing = doorOn({
    check: () => {
      throw new Error("broken");
    },
  });
  await t.throwsAsync(throwing.check({}), { message: "broken" });
  t.is(throwing.told.ended, throwing.told.opened);

  const malformed = doorOn({});
  t.throws(() => malformed.checkBytes(Uint8Array.of(0x0a, 2, 0x0a, 9), call), { instanceOf: WeirError });
  t.is(malformed.told.ended, malformed.told.opened);
});

test("a caller that knows more global words than there are is refused in Mixer's words", async (t) => {
  const { check, report, told } = doorOn({});
  const message = "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 223";
  const error = await t.throwsAsync(check({ globalWordCount: 223 }), { instanceOf: WeirError, message });
  t.is(error?.code, "WEIR_DICTIONARY_MISMATCH");
  const again = t.throws(() => report({ globalWordCount: 223 }), { instanceOf: WeirError, message });
  t.is(again?.code, "WEIR_DICTIONARY_MISMATCH");
  t.is(told.opened, 0);
});

test("more quotas than anyone needs, or an endless deduplication id, are refused", async (t) => {
  const { check } = doorOn({});
  const quotas = new Map(Array.from({ length: 129 }, (_, i) => [`q${i}`, { amount: 1n, bestEffort: false }]));
  const error = await t.throwsAsync(check({ quotas }), { instanceOf: WeirError, message: /at most 128 quotas/ });
  t.is(error?.code, "WEIR_REQUEST_QUOTA");
  await t.throwsAsync(check({ deduplicationId: "x".repeat(1025) }), {
    instanceOf: WeirError,
    message: /deduplication_id/,
  });
});

test("a value that points to no word is absent, and counted", async (t) => {
  const attributes = compress({ "source.namespace": { string: "a" } });
  attributes.strings.set(globalIndex.get("source.namespace")!, -50);
  const { check, told } = doorOn(reading([slot.namespace]));
  const { precondition } = await check({ attributes });
  t.deepEqual(referenceTexts(precondition?.referencedAttributes), ["-source.namespace"]);
  t.deepEqual(told.dropped, [["attribute", "undefined_index", 1]]);
});

/** A hub that keeps what it was told of each record. */
function recording(outcome: (record: number) => RecordOutcome = () => "taken") {
  const records: unknown[] = [];
  const door = doorOn({
    report(bag) {
      records.push([bag.peek(slot.namespace), bag.peek(slot.code), bag.peek(slot.user)]);
      return outcome(records.length - 1);
    },
  });
  return { ...door, records };
}

const record = (namespace: string | undefined, code: bigint | undefined, words?: string[]): CompressedAttributes =>
  compress(
    {
      ...(namespace !== undefined && { "source.namespace": { string: namespace } }),
      ...(code !== undefined && { "response.code": { int64: code } }),
    },
    words,
  );

test("a report without records is taken", (t) => {
  const { report, told } = recording();
  t.is(report({}).length, 0);
  t.is(told.opened, told.ended);
});

test("records are changes to those before them, unless the report says otherwise", (t) => {
  const attributes = [record("a", 200n), record(undefined, 404n), record("b", undefined)];
  const delta = recording();
  t.is(delta.report({ attributes }).length, 0);
  t.deepEqual(delta.records, [
    ["a", 200, undefined],
    ["a", 404, undefined],
    ["b", 404, undefined],
  ]);
  const independent = recording();
  independent.report({ attributes, repeatedAttributesSemantics: 1 });
  t.deepEqual(independent.records, [
    ["a", 200, undefined],
    [undefined, 404, undefined],
    ["b", undefined, undefined],
  ]);
  t.is(independent.told.ended, 1);
});

test("records without words of their own use the default words, those with some only theirs", (t) => {
  const shared = ["a"];
  const own = record("own", 1n);
  const lost = record("own", 1n);
  lost.strings.set(globalIndex.get("source.namespace")!, -2);
  const { report, records } = recording();
  report({
    attributes: [record("a", 200n, shared), own, lost, record("b", 2n, shared)],
    defaultWords: shared,
    repeatedAttributesSemantics: 1,
  });
  t.deepEqual(records, [
    ["a", 200, undefined],
    ["own", 1, undefined],
    [undefined, 1, undefined],
    ["b", 2, undefined],
  ]);
});

test("a malformed change costs only itself: it leaves no trace in those after it", (t) => {
  const bad = record("bad", 500n);
  bad.strings.set(-99, 0);
  const { report, records, told } = recording();
  t.is(report({ attributes: [record("a", 200n), bad, record(undefined, 404n), bad] }).length, 0);
  t.deepEqual(records, [
    ["a", 200, undefined],
    ["a", 404, undefined],
  ]);
  t.deepEqual(told.dropped, [["record", "malformed", 2]]);
  t.is(told.warnings.length, 1);
  t.like(told.warnings[0], { peer: "10.9.9.9", records: 4, malformed: 2 });
  t.is(told.ended, 1);
});

test("a report of which no record is good is refused", (t) => {
  const bad = record("bad", 500n);
  bad.words = [];
  const { reportBytes, told } = recording();
  const error = t.throws(() => reportBytes(Uint8Array.of(0x0a, 2, 0x0a, 9), call), {
    instanceOf: WeirError,
    message: /^0 of 1 records taken: /,
  });
  t.is(error?.code, "WEIR_REQUEST_MALFORMED");
  t.is(told.ended, 1);
});

test("a report that does not fit is told how much of it was taken; the rest was offered too", (t) => {
  const { report, records, told } = recording((i) => (i === 1 ? "full" : "taken"));
  const error = t.throws(() => report({ attributes: [record("a", 1n), record("b", 2n), record("c", 3n)] }), {
    instanceOf: WeirError,
    message: /^2 of 3 records taken/,
  });
  t.is(error?.code, "WEIR_REPORT_NOT_TAKEN");
  t.is(records.length, 3);
  t.is(told.ended, 1);
});

test("an unknown encoding of records is malformed", (t) => {
  const { reportBytes, told } = recording();
  const error = t.throws(() => reportBytes(Uint8Array.of(0x0a, 0, 0x20, 7), call), { instanceOf: WeirError });
  t.is(error?.code, "WEIR_REQUEST_MALFORMED");
  t.is(told.opened, 0);
});

test("a report of more records than anyone sends at once is refused before any is taken", (t) => {
  const { reportBytes, records } = recording();
  const error = t.throws(() => reportBytes(Buffer.from("0a00".repeat(65_537), "hex"), call), { instanceOf: WeirError });
  t.is(error?.code, "WEIR_REQUEST_TOO_LARGE");
  t.is(records.length, 0);
});

function messageOf(encode: (request: CheckRequest) => Uint8Array): Buffer {
  return Buffer.from(
    encode(
      CheckRequest.fromPartial({
        attributes: request,
        globalWordCount: 222,
        deduplicationId: "d",
        quotas: new Map([["q", { amount: 1n, bestEffort: true }]]),
      }),
    ),
  );
}

test("any bytes get an answer or a clear error, and every session is ended", async (t) => {
  const check = messageOf((r) => CheckRequest.encode(r).finish());
  const report = Buffer.from(
    ReportRequest.encode(
      ReportRequest.fromPartial({
        attributes: [record("a", 1n), record("b", 2n)],
        defaultWords: ["w"],
        globalWordCount: 222,
      }),
    ).finish(),
  );
  const hub = doorOn(reading([slot.namespace, slot.user, slot.claim, slot.ip]));
  const methods: [Unary, Buffer][] = [
    [hub.checkBytes, check],
    [hub.reportBytes, report],
  ];
  for (const [method, real] of methods) {
    let answered = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(hostileBytes(real), async (bytes) => {
        try {
          await method(bytes, call);
          answered++;
        } catch (error) {
          if (!(error instanceof WeirError)) throw error;
          refused++;
        }
      }),
      { numRuns: fuzzRuns(3000) },
    );
    t.true(answered > 0 && refused > 0);
  }
  t.is(hub.told.ended, hub.told.opened);
});

test("a report is answered when a buffer has stored it, and fails with it, and the session lasts until then", async (t) => {
  const message = ReportRequest.encode(
    ReportRequest.fromPartial({ globalWordCount: 222, attributes: [record("a", 200n)] }),
  ).finish();
  let store = (): void => {};
  const kept = doorOn({ commit: () => new Promise((resolve) => (store = resolve)) });
  const answer = kept.reportBytes(message, call) as Promise<Uint8Array>;
  t.is(kept.told.ended, 0);
  store();
  t.is((await answer).length, 0);
  t.is(kept.told.ended, 1);

  const away = new WeirError("WEIR_REPORT_NOT_STORED", "the buffer is away");
  const lost = doorOn({ commit: () => Promise.reject(away) });
  await t.throwsAsync(lost.reportBytes(message, call) as Promise<Uint8Array>, { is: away });
  t.is(lost.told.ended, 1);

  const full = doorOn({ report: () => "full", commit: () => Promise.resolve() });
  const error = await t.throwsAsync<WeirError>(full.reportBytes(message, call) as Promise<Uint8Array>);
  t.is(error?.code, "WEIR_REPORT_NOT_TAKEN");
});
