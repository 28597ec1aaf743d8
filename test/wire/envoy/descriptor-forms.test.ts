import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Bag } from "../../../src/attributes/bag.ts";
import type { DescriptorForm } from "../../../src/runtime/limits/descriptor-form.ts";
import type { Client } from "../../../src/wire/client.ts";
import { DescriptorForms } from "../../../src/wire/envoy/ratelimit/descriptor-forms.ts";
import { RateLimitRequest as RequestReader } from "../../../src/wire/envoy/ratelimit/rate-limit-request.ts";
import { RateLimitDescriptor } from "../../../src/wire/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import {
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
} from "../../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { Reader } from "../../../src/wire/protobuf/reader.ts";
import { Writer } from "../../../src/wire/protobuf/writer.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { compiled, world } from "../../runtime/world.ts";
import { descriptor } from "./descriptor.ts";
import { doorBefore, doorTo } from "./ratelimit-door.ts";

/** A request with these descriptors, each with a field behind it that nobody knows, of this many bytes. */
function message(domain: string, descriptors: readonly RateLimitDescriptor[], hits: number, padding: number): Buffer {
  const writer = new Writer().reset();
  writer.string(1, domain);
  for (const each of descriptors) {
    const start = writer.open(2);
    writer.append(RateLimitDescriptor.encode(each).finish());
    if (padding > 0) writer.bytes(15, Buffer.alloc(padding));
    writer.close(start);
  }
  if (hits > 0) writer.uint32(3, hits);
  return Buffer.from(writer.finish());
}

const policies = `
policy: edge
match: ratelimit.domain == "edge"
check:
  - { name: user, limit: 12/h, by: 'ratelimit.descriptor["user"]' }
  - name: path
    limit: 4/m
    burst: 6
    algorithm: token-bucket
    by: { user: 'ratelimit.descriptor["user"]', path: 'ratelimit.descriptor["path"]' }
    overrides: [{ when: 'ratelimit.descriptor["path"] == "/big"', limit: 9/m }]
    unless: ratelimit.descriptor["user"] == "root"
  - { name: address, limit: 8/m, algorithm: sliding-window, at: ratelimit, by: source.ip, cost: 'int(ratelimit.descriptor["cost"])' }
  - { name: inside, limit: 9/m, algorithm: fixed-window, at: ratelimit, when: 'inCidr(source.ip, "10.0.0.0/8")' }
  - { name: at-work, limit: 3, algorithm: concurrency, ttl: 30s, by: 'ratelimit.descriptor["job"]' }
  - { name: guarded, limit: 7/m, at: ratelimit, when: 'has(ratelimit.descriptor["path"]) && ratelimit.descriptor["path"] == "/x"', by: '"k"' }
---
policy: watch
mode: observe
check:
  - { name: user, limit: 5/h, by: 'ratelimit.descriptor["user"]' }
---
policy: other
match: ratelimit.domain == "other"
check:
  - { name: user, limit: 2/h, by: 'ratelimit.descriptor["user"]', onError: deny }
`;

const gateway: Client = {
  name: "gateway",
  maySpeakFor: () => true,
  maySet: (attribute) => attribute !== "source.ip",
  refused: () => undefined,
};

const someEntries = fc.constantFrom<Readonly<Record<string, string>>>(
  { user: "ann" },
  { user: "bob" },
  { user: "root", path: "/x" },
  { user: "ann", path: "/x" },
  { user: "ann", path: "/big" },
  { path: "/x" },
  { remote_address: "10.0.0.1", cost: "2" },
  { remote_address: "10.0.0.1", cost: "much" },
  { remote_address: "192.0.2.1" },
  { "source.ip": "nonsense", cost: "1" },
  { job: "nightly" },
  { unknown: "entry" },
);

const someDescriptor = fc
  .tuple(
    someEntries,
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Partial<RateLimitDescriptor>>({}) },
      fc.constantFrom<Partial<RateLimitDescriptor>>(
        { hitsAddend: 0n },
        { hitsAddend: 3n },
        { hitsAddend: 2n, isNegativeHits: true },
        { isNegativeHits: true },
        { limit: { requestsPerUnit: 2, unit: Unit.MINUTE, unitMultiplier: undefined } },
      ),
    ),
  )
  .map(([entries, more]) => descriptor(entries, more));

const someRequest = fc.record({
  domain: fc.constantFrom("edge", "edge", "edge", "other"),
  descriptors: fc.array(someDescriptor, { minLength: 1, maxLength: 4 }),
  hits: fc.constantFrom(0, 0, 0, 2),
  client: fc.constantFrom(undefined, undefined, gateway),
  pauseMs: fc.constantFrom(0, 0, 900, 20_000),
});

for (const charge of ["all-or-nothing", "each"] as const) {
  test(`charge ${charge}: descriptors that were judged before are judged as those that come new`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(someRequest, { minLength: 5, maxLength: 40 }), async (requests) => {
        const settings = { ratelimit: { charge, overrides: "all" } } as const;
        const [known, fresh] = [await doorTo(policies, settings), await doorTo(policies, settings)];
        const totals = ({ runtime }: typeof known) =>
          Array.from(runtime.ruleTotals(), ({ rule, ...counts }) => ({ rule: rule.id, ...counts }));
        const tried = (door: typeof known, bytes: Buffer, client: Client | undefined) => {
          try {
            return door.send(bytes, client);
          } catch (error) {
            return (error as WeirError).message;
          }
        };
        for (const { domain, descriptors, hits, client, pauseMs } of requests) {
          // What is longer than may be kept is judged anew each time.
          t.deepEqual(
            tried(known, message(domain, descriptors, hits, 0), client),
            tried(fresh, message(domain, descriptors, hits, 200), client),
          );
          for (const { clock } of [known, fresh]) await clock.advance(pauseMs);
        }
        t.deepEqual(known.told, fresh.told);
        t.deepEqual(known.observer.drops, fresh.observer.drops);
        t.deepEqual(totals(known), totals(fresh));
      }),
      { numRuns: fuzzRuns(20) },
    );
  });
}

test("a reload ends what was known of descriptors", async (t) => {
  const rule = (amount: number): string =>
    `policy: p\ncheck: [{ name: user, limit: ${amount}/h, by: 'ratelimit.descriptor["user"]' }]`;
  const hub = await world(rule(5));
  const { ask } = doorBefore(hub);
  const left = () => ask([descriptor({ user: "ann" })]).statuses[0]!.limitRemaining;
  t.deepEqual([left(), left()], [4, 3]);
  await hub.runtime.activate(await compiled(rule(9)));
  t.deepEqual([left(), left()], [6, 5]);
  await hub.runtime.activate(await compiled("policy: q\ncheck: [{ name: r, limit: 1/h, at: ratelimit }]"));
  t.is(ask([descriptor({ user: "ann" })]).statuses[0]!.currentLimit!.name, "q/r");
  t.is(ask([descriptor({ user: "ann" })]).overallCode, Code.OVER_LIMIT);
});

test("what a client may give back, where no limit applies, nobody else may after it", async (t) => {
  const { ask } = await doorTo(
    'policy: edge\nmatch: ratelimit.domain == "other"\ncheck: [{ name: r, limit: 1/h, at: ratelimit }]',
  );
  const back = [descriptor({ user: "ann" }, { hitsAddend: 2n, isNegativeHits: true })];
  for (let i = 0; i < 3; i++) t.is(ask(back, { client: gateway }).overallCode, Code.OK);
  t.throws(() => ask(back), { message: /may give hits back/ });
});

/** What some limits in a request of one descriptor want of it. */
async function formIn(limits: number): Promise<DescriptorForm | undefined> {
  const rules = Array.from({ length: limits }, (_, i) => `  - { name: r${i}, limit: 5/h, at: ratelimit }`);
  const { runtime } = await world(["policy: p", "check:", ...rules].join("\n"));
  const { rateLimit, snapshot } = runtime.acquire();
  const judgement = rateLimit({});
  judgement.add(new Bag(snapshot.layout), {});
  return judgement.form();
}

test("a descriptor to which very many limits apply is not kept: a flood of them must not fill the memory", async (t) => {
  t.not(await formIn(8), undefined);
  t.is(await formIn(9), undefined);
});

test("an adapter that copies or prints a charge which is made again sees nothing but the charge", async (t) => {
  const form = await formIn(2);
  if (form === undefined || form === "none") return t.fail();
  const names = ["limit", "key", "amount", "bestEffort", "hint"];
  t.deepEqual(Object.keys({ ...form }), names);
  t.deepEqual(Object.keys(JSON.parse(JSON.stringify(form)) as object), names);
});

/**
 * Asks for descriptors of some bytes, as a request of all of them: what is known of each is its text. Those that are not
 * there are kept. `wasWhole()`: whether the last request was found as a whole.
 */
function asking(places: number) {
  const forms = new DescriptorForms(places);
  const reader = new Reader();
  const known = new Map<DescriptorForm, string>();
  let whole = false;
  function begun(domain: string, descriptors: readonly Uint8Array[]) {
    const writer = new Writer().reset();
    writer.string(1, domain);
    for (const bytes of descriptors) writer.bytes(2, bytes);
    const memory = Buffer.concat([Buffer.alloc(9, 0xee), writer.finish(), Buffer.alloc(9, 0xee)]);
    const buffer = memory.subarray(9, -9);
    const request = new RequestReader().read(reader.reset(buffer));
    const view = new DataView(memory.buffer);
    forms.begin(view, buffer.byteOffset, request);
    return { view, buffer, request };
  }
  /** Whether one is there; nothing is kept. */
  function isKnown(domain: string, bytes: Uint8Array): boolean {
    const { view, buffer, request } = begun(domain, [bytes]);
    return forms.findAll(view, buffer.byteOffset, request);
  }
  function askAll(domain: string, descriptors: readonly Uint8Array[]): (string | undefined)[] {
    const { view, buffer, request } = begun(domain, descriptors);
    whole = forms.findAll(view, buffer.byteOffset, request);
    const together = descriptors.map((_, i) => (whole ? known.get(forms.form(forms.place(i))) : undefined));
    const oneByOne = descriptors.map((bytes, i) => {
      const place = forms.find(view, buffer.byteOffset, request, i);
      if (place >= 0) return known.get(forms.form(place));
      if (forms.isWelcome()) {
        const form = {} as DescriptorForm;
        known.set(form, textOf(domain, bytes));
        forms.keep(view, buffer.byteOffset, request, i, form, []);
      }
      return undefined;
    });
    if (whole) assert.deepEqual(together, oneByOne);
    return oneByOne;
  }
  const ask = (domain: string, bytes: Uint8Array): string | undefined => askAll(domain, [bytes])[0];
  return { ask, askAll, wasWhole: () => whole, isKnown };
}

function textOf(domain: string, bytes: Uint8Array): string {
  return `${domain} ${Buffer.from(bytes).toString("hex")}`;
}

test("none is taken for another, however few places there are", (t) => {
  const few = fc.uint8Array({ minLength: 1, maxLength: 4, max: 2 });
  // Each time but one byte differs, wherever it lies.
  const more = fc.tuple(fc.integer({ min: 5, max: 9 }), fc.nat(8)).map(([length, at]) => {
    const bytes = new Uint8Array(length);
    bytes[at % length] = 1;
    return bytes;
  });
  const bytes = fc.oneof(few, more);
  const domains = fc.constantFrom("a", "b", "aa", "aaaaa", "aaaab", "baaaa");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(domains, fc.array(bytes, { minLength: 1, maxLength: 3 })), { maxLength: 200 }),
      (asked) => {
        const { askAll } = asking(8);
        for (const [domain, descriptors] of asked) {
          const told = askAll(domain, descriptors);
          for (const [i, text] of told.entries()) if (text !== undefined) t.is(text, textOf(domain, descriptors[i]!));
        }
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

test("nor where hashes meet: of 100,000 others some are told from those that are kept by their bytes alone", (t) => {
  const { askAll, wasWhole } = asking(8);
  const domain = "d00000";
  const kept = Array.from({ length: 8 }, (_, i) => Buffer.from(`k0000${i}`));
  askAll(domain, kept);
  askAll(domain, kept);
  t.true(wasWhole());
  for (let i = 0; i < 100_000; i++) {
    const five = (i + 1).toString(16).padStart(5, "0");
    // Each comes once, so that none of them is kept.
    const told = i % 2 === 0 ? askAll(`d${five}`, kept.slice(0, 1)) : askAll(domain, [Buffer.from(`o${five}`)]);
    if (told[0] !== undefined || wasWhole()) return t.fail(five);
  }
  return t.pass();
});

test("a request is found as a whole where all of its descriptors are there, however often one comes in it", (t) => {
  const { askAll, wasWhole } = asking(64);
  const [a, b, c] = ["a", "bb", "a rather long one"].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
  const isWhole = (domain: string, ...descriptors: Buffer[]): boolean => (askAll(domain, descriptors), wasWhole());
  t.false(isWhole("d", a, b));
  t.true(isWhole("d", a, b));
  t.true(isWhole("d", b, a, b, b));
  t.true(isWhole("d", a));
  t.false(isWhole("d", a, c));
  t.true(isWhole("d", a, c, b));
  t.false(isWhole("e", a, c, b));
  t.false(isWhole("d", a, Buffer.alloc(200, 1)));
});

test("those that come again and again stay through a flood of those that come once", (t) => {
  const { ask } = asking(64);
  const hot = Array.from({ length: 16 }, (_, i) => Buffer.from(`hot ${i}`));
  for (let round = 0; round < 4; round++) for (const each of hot) ask("d", each);
  t.true(hot.every((each) => ask("d", each) !== undefined));
  for (let i = 0; i < 10_000; i++) ask("d", Buffer.from(`seldom ${i}`));
  t.true(hot.every((each) => ask("d", each) !== undefined));
});

test("where all places are taken, what comes twice takes one that was not asked for of late", (t) => {
  const { ask } = asking(8);
  const old = Array.from({ length: 8 }, (_, i) => Buffer.from(`old ${i}`));
  for (const each of old) ask("d", each);
  for (const each of old.slice(0, 7)) ask("d", each);
  const late = Buffer.from("late");
  t.deepEqual([ask("d", late), ask("d", late), ask("d", late)], [undefined, undefined, `d ${late.toString("hex")}`]);
  t.deepEqual(
    old.map((each) => ask("d", each) !== undefined),
    [true, true, true, true, true, true, true, false],
  );
});

test("what is found with all others of its request counts as asked for too", (t) => {
  const { ask, isKnown } = asking(8);
  const old = Array.from({ length: 8 }, (_, i) => Buffer.from(`old ${i}`));
  for (const each of old) ask("d", each);
  const asked = old.filter((_, i) => i !== 4);
  for (const each of asked) t.true(isKnown("d", each));
  const fresh = Buffer.from("new");
  for (let i = 0; i < 2; i++) ask("d", fresh);
  t.true([fresh, ...asked].every((each) => isKnown("d", each)));
  t.false(isKnown("d", old[4]!));
});

test("what is too long is not kept, by itself or with its domain", (t) => {
  const { ask } = asking(64);
  const domain = "d".repeat(100);
  for (const [bytes, isKept] of [
    [88, true],
    [89, false],
    [70_000, false],
  ] as const) {
    const long = Buffer.alloc(bytes, 1);
    for (let i = 0; i < 3; i++) ask(domain, long);
    t.is(ask(domain, long) !== undefined, isKept, String(bytes));
  }
});
