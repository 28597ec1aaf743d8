import test from "ava";
import fc from "fast-check";
import type { Client } from "../../../src/wire/client.ts";
import type { RateLimitDescriptor } from "../../../src/wire/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import {
  RateLimitRequest,
  RateLimitResponse,
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
} from "../../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { hostileBytes } from "../hostile-bytes.ts";
import { descriptor } from "./descriptor.ts";
import { doorTo } from "./ratelimit-door.ts";

/** `ok rule remaining` of each status; `over` where it refuses. */
function shown({ statuses }: RateLimitResponse): string[] {
  return statuses.map(({ code, currentLimit, limitRemaining }) => {
    const verdict = code === Code.OK ? "ok" : code === Code.OVER_LIMIT ? "over" : "unknown";
    return currentLimit === undefined ? verdict : `${verdict} ${currentLimit.name} ${limitRemaining}`;
  });
}

const perUser = `
policy: p
match: ratelimit.domain == "edge"
check: [{ name: user, limit: 5/h, by: 'ratelimit.descriptor["user"]' }]`;

test("a key that is an attribute's name sets it, by its type; remote_address tells source.ip", async (t) => {
  const { ask } = await doorTo(`
policy: p
check:
  - { name: a-ip, limit: 9/h, at: ratelimit, when: 'inCidr(source.ip, "10.0.0.0/8")' }
  - { name: b-header, limit: 9/h, at: ratelimit, when: 'request.headers["x-key"] == "k"' }
  - { name: c-port, limit: 9/h, at: ratelimit, when: source.port == 80 }
  - { name: d-mtls, limit: 9/h, at: ratelimit, when: connection.mtls }
  - { name: e-size, limit: 9/h, at: ratelimit, when: 'destination.labels.size() == 2' }
  - { name: f-claim, limit: 9/h, at: ratelimit, by: 'request.auth.claims["sub"]' }`);
  const rule = (entries: Readonly<Record<string, string>>): string | undefined =>
    ask([descriptor(entries)]).statuses[0]!.currentLimit?.name;
  t.is(rule({ "source.ip": "10.1.2.3" }), "p/a-ip");
  t.is(rule({ remote_address: "10.1.2.3" }), "p/a-ip");
  t.is(rule({ "source.ip": "192.0.2.1" }), undefined);
  t.is(rule({ "request.headers.x-key": "k" }), "p/b-header");
  t.is(rule({ "request.headers.X-Key": "k" }), "p/b-header");
  t.is(rule({ "source.port": "80" }), "p/c-port");
  t.is(rule({ "connection.mtls": "true" }), "p/d-mtls");
  t.is(rule({ "destination.labels.app": "a", "destination.labels.version": "1" }), "p/e-size");
  t.is(rule({ "request.auth.claims.sub": "ann" }), "p/f-claim");
});

test("a text that is no value of the attribute is a fault: it counts, and is nobody's pass", async (t) => {
  const { ask } = await doorTo(`policy: p\ncheck: [{ name: ip, limit: 1/h, at: ratelimit, by: source.ip }]`);
  t.deepEqual(shown(ask([descriptor({ "source.ip": "nonsense" })])), ["ok p/ip 0"]);
  t.deepEqual(shown(ask([descriptor({ "source.ip": "other nonsense" })])), ["over p/ip 0"]);
});

test("no entry sets the domain or the descriptor's other entries", async (t) => {
  const { ask } = await doorTo(perUser);
  const forged = { "ratelimit.domain": "edge", "ratelimit.descriptor.user": "ann" };
  t.deepEqual(shown(ask([descriptor({ ...forged, user: "ann" })], { domain: "other" })), ["ok"]);
  t.deepEqual(shown(ask([descriptor(forged)])), ["ok"]);
});

test("of a key that comes twice in a descriptor the last counts", async (t) => {
  const { ask } = await doorTo(perUser);
  const twice = descriptor({ user: "ann" });
  twice.entries.push({ key: "user", value: "bob" });
  ask([twice], { hitsAddend: 5 });
  t.deepEqual(shown(ask([descriptor({ user: "ann" }), descriptor({ user: "bob" })])), ["ok p/user 5", "over p/user 0"]);
});

test("the status tells of the limit that refuses, else of the one with the fewest units left", async (t) => {
  const { ask } = await doorTo(`
policy: p
check:
  - { name: a, limit: 9/h, at: ratelimit }
  - { name: b, limit: 2/h, at: ratelimit }
  - { name: c, limit: 3/h, at: ratelimit }`);
  t.deepEqual(shown(ask([descriptor({ x: "y" })])), ["ok p/b 1"]);
  ask([descriptor({ x: "y" })]);
  t.deepEqual(shown(ask([descriptor({ x: "y" })])), ["over p/b 0"]);
});

test("a window is told in the largest unit that divides it", async (t) => {
  for (const [rate, unit, multiplier] of [
    ["5/s", Unit.SECOND, undefined],
    ["5/90s", Unit.SECOND, 90],
    ["5/m", Unit.MINUTE, undefined],
    ["5/2h", Unit.HOUR, 2],
    ["5/6d", Unit.DAY, 6],
    ["5/7d", Unit.WEEK, undefined],
    ["5/week", Unit.WEEK, undefined],
    ["5/28d", Unit.WEEK, 4],
    ["5/30d", Unit.MONTH, undefined],
    ["5/365d", Unit.YEAR, undefined],
    ["5/250ms", Unit.UNKNOWN, undefined],
  ] as const) {
    const { ask } = await doorTo(`policy: p\ncheck: [{ name: l, limit: ${rate}, at: ratelimit }]`);
    const [status] = ask([descriptor({ a: "b" })]).statuses;
    t.like(status!.currentLimit, { requestsPerUnit: 5, unit, unitMultiplier: multiplier }, rate);
  }
});

test("an override has a unit, perhaps several of them", async (t) => {
  const { ask } = await doorTo(perUser);
  const over = (limit: RateLimitDescriptor["limit"]) => ask([descriptor({ user: "ann" }, { limit })]).statuses[0];
  t.like(over({ requestsPerUnit: 7, unit: Unit.SECOND, unitMultiplier: 30 })!.currentLimit, {
    requestsPerUnit: 7,
    unit: Unit.SECOND,
    unitMultiplier: 30,
  });
  t.is(over({ requestsPerUnit: 0, unit: Unit.YEAR, unitMultiplier: undefined })!.code, Code.OVER_LIMIT);
  for (const limit of [
    { requestsPerUnit: 7, unit: Unit.UNKNOWN, unitMultiplier: undefined },
    { requestsPerUnit: 7, unit: 99 as never, unitMultiplier: undefined },
    { requestsPerUnit: 7, unit: Unit.DAY, unitMultiplier: 0 },
    { requestsPerUnit: 7, unit: Unit.YEAR, unitMultiplier: 0xffff_ffff },
  ]) {
    t.throws(() => over(limit), { instanceOf: WeirError, code: "WEIR_REQUEST_DESCRIPTORS" });
  }
});

test("weir.yaml says whose overrides are taken; others are left out and counted", async (t) => {
  const own = descriptor({ user: "ann" }, { limit: { requestsPerUnit: 9, unit: Unit.DAY, unitMultiplier: undefined } });
  for (const [overrides, stranger, named] of [
    ["all", 9, 9],
    ["clients", 5, 9],
    ["none", 5, 5],
  ] as const) {
    const { ask, observer } = await doorTo(perUser, { ratelimit: { charge: "all-or-nothing", overrides } });
    const amount = (client?: Client) =>
      ask([own], client === undefined ? {} : { client }).statuses[0]!.currentLimit!.requestsPerUnit;
    t.deepEqual([amount(), amount(gateway)], [stranger, named], overrides);
    const dropped = (stranger === 5 ? 1 : 0) + (named === 5 ? 1 : 0);
    t.deepEqual(observer.drops, Array<string>(dropped).fill("limit_override not_permitted 1"));
  }
});

const gateway: Client = {
  name: "gateway",
  maySpeakFor: (domain) => domain === "edge",
  maySet: (attribute) => attribute.startsWith("request."),
  refused: () => undefined,
};

test("a named client speaks for its domains and attributes, and may give hits back", async (t) => {
  const { ask, observer, sessions } = await doorTo(
    `${perUser}\n---\npolicy: q\ncheck: [{ name: ip, limit: 5/h, at: ratelimit, by: source.ip }]`,
  );
  const user = descriptor({ user: "ann" });
  ask([user], { hitsAddend: 4, client: gateway });
  const back = descriptor({ user: "ann" }, { hitsAddend: 2n, isNegativeHits: true });
  t.deepEqual(shown(ask([back], { client: gateway })), ["ok p/user 3"]);
  t.deepEqual(shown(ask([descriptor({ user: "ann" }, { isNegativeHits: true })], { client: gateway })), [
    "ok p/user 4",
  ]);
  const refused = { instanceOf: WeirError, code: "WEIR_NOT_PERMITTED" };
  t.throws(() => ask([user], { domain: "other", client: gateway }), refused);
  t.throws(() => ask([user, descriptor({ "source.ip": "10.0.0.1" })], { client: gateway }), refused);
  t.throws(() => ask([user, descriptor({ remote_address: "10.0.0.1" })], { client: gateway }), refused);
  t.throws(() => ask([user, back]), refused);
  t.deepEqual(observer.drops, [
    "caller ratelimit domain",
    "caller ratelimit attribute",
    "caller ratelimit attribute",
    "caller ratelimit negative_hits",
  ]);
  t.deepEqual(shown(ask([descriptor({ user: "ann" }, { hitsAddend: 0n, isNegativeHits: true })])), ["ok p/user 4"]);
  t.is(sessions(), 0);
});

test("what others asked before is asked by a named client only as far as it may", async (t) => {
  const { ask, observer } = await doorTo(
    `${perUser}\n---\npolicy: q\ncheck: [{ name: ip, limit: 5/h, at: ratelimit, by: source.ip }]`,
  );
  const both = [descriptor({ user: "ann" }), descriptor({ "source.ip": "10.0.0.1" })];
  for (let i = 0; i < 2; i++) ask(both);
  t.throws(() => ask(both, { client: gateway }), { instanceOf: WeirError, code: "WEIR_NOT_PERMITTED" });
  t.deepEqual(observer.drops, ["caller ratelimit attribute"]);
  t.notThrows(() => ask(both.slice(0, 1), { client: gateway }));
});

test("descriptors that came before are counted, each of a request", async (t) => {
  const { ask, descriptors } = await doorTo(perUser);
  const [ann, bob, eve] = [descriptor({ user: "ann" }), descriptor({ user: "bob" }), descriptor({ user: "eve" })];
  ask([ann, bob]);
  t.like(descriptors, { hits: 0, misses: 2 });
  ask([ann, bob]);
  t.like(descriptors, { hits: 2, misses: 2 });
  ask([ann, eve]);
  t.like(descriptors, { hits: 3, misses: 3 });
});

test("header fields tell of limits as weir.yaml says, each rule once", async (t) => {
  for (const [style, on, passes, refuses] of [
    ["draft", "refused", [], ["retry-after", "ratelimit-policy", "ratelimit"]],
    [
      "legacy",
      "always",
      ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
      ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
    ],
    ["none", "always", [], ["retry-after"]],
  ] as const) {
    const { ask } = await doorTo(perUser, { rateLimitFields: { style, on } });
    const keys = (response: RateLimitResponse) => response.responseHeadersToAdd.map(({ key }) => key);
    t.deepEqual(keys(ask([descriptor({ user: "ann" })], { hitsAddend: 2 })), [...passes]);
    const refused = ask([descriptor({ user: "ann" }), descriptor({ user: "ann" })], { hitsAddend: 2 });
    t.deepEqual(keys(refused), [...refuses]);
    const item = refused.responseHeadersToAdd.find(({ key }) => key === "ratelimit-policy");
    if (style === "draft") t.is(item?.value, '"p/user";q=5;w=3600');
  }
});

test("header fields tell of so many limits and no more", async (t) => {
  const rules = Array.from({ length: 40 }, (_, i) => `  - { name: r${i + 10}, limit: 5/h, at: ratelimit }`).join("\n");
  const { ask } = await doorTo(`policy: p\ncheck:\n${rules}`, { rateLimitFields: { style: "draft", on: "always" } });
  const { responseHeadersToAdd } = ask([descriptor({ a: "b" })]);
  const told = responseHeadersToAdd.find(({ key }) => key === "ratelimit")!.value.split(", ");
  t.deepEqual([told.length, told[0]!.slice(0, 7)], [16, '"p/r10"']);
});

test("every answer names its decision and the policies; rules are named where they refuse or would", async (t) => {
  const { ask } = await doorTo(
    `${perUser}\n---\npolicy: o\nmode: observe\ncheck: [{ name: l, limit: 1/h, by: 'ratelimit.descriptor["user"]' }]`,
  );
  const names = ({ dynamicMetadata }: RateLimitResponse) => Object.keys(dynamicMetadata ?? {}).sort();
  const first = ask([descriptor({ user: "ann" })]);
  t.deepEqual(names(first), ["decision_id", "policy_version"]);
  const second = ask([descriptor({ user: "ann" })]);
  t.deepEqual(second.dynamicMetadata!["observed"], ["o/l"]);
  t.not(second.dynamicMetadata!["decision_id"], first.dynamicMetadata!["decision_id"]);
  t.deepEqual(ask([descriptor({ user: "ann" })], { hitsAddend: 9 }).dynamicMetadata!["rules"], ["p/user"]);
});

test("amounts beyond all bounds are refused and take nothing", async (t) => {
  const { ask } = await doorTo(perUser);
  for (const hitsAddend of [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n]) {
    t.deepEqual(shown(ask([descriptor({ user: "ann" }, { hitsAddend })])), ["over p/user 5"]);
  }
  t.deepEqual(shown(ask([descriptor({ user: "ann" })], { hitsAddend: 0xffff_ffff })), ["over p/user 5"]);
});

test("more descriptors or entries than one request may have are refused before anything is judged", async (t) => {
  const { ask, sessions } = await doorTo(perUser);
  const many = Array.from({ length: 10_000 }, (_, i) => descriptor({ user: `u${i}` }));
  const refused = { instanceOf: WeirError, code: "WEIR_REQUEST_DESCRIPTORS" };
  t.throws(() => ask(many), refused);
  t.is(ask(many.slice(0, 128)).statuses.length, 128);
  const entries = Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, "v"]));
  t.throws(() => ask([descriptor({ user: "ann" }), descriptor(entries)]), refused);
  t.deepEqual(shown(ask([descriptor({ user: "u200" })])), ["ok p/user 4"]);
  t.throws(() => ask([], {}), refused);
  t.throws(() => ask([descriptor({ user: "ann" })], { domain: "" }), refused);
  t.is(sessions(), 0);
});

test("fields may come in any order, and unknown ones are stepped over", async (t) => {
  const { send } = await doorTo(perUser);
  const encoded = (part: Partial<RateLimitRequest>) =>
    RateLimitRequest.encode({ domain: "", descriptors: [], hitsAddend: 0, ...part }).finish();
  const unknown = Buffer.from([0xa2, 0x06, 0x02, 0x41, 0x42, 0x98, 0x06, 0x01]);
  const message = Buffer.concat([
    encoded({ hitsAddend: 2 }),
    unknown,
    encoded({ descriptors: [descriptor({ user: "ann" })] }),
    encoded({ domain: "edge" }),
    unknown,
  ]);
  t.deepEqual(shown(send(message)), ["ok p/user 3"]);
});

test("hostile bytes are a clear error or an answer with a status for each descriptor", async (t) => {
  const { send, sessions } = await doorTo(perUser);
  const good = RateLimitRequest.encode({
    domain: "edge",
    hitsAddend: 3,
    descriptors: [
      descriptor({ user: "ann", remote_address: "10.0.0.1" }, { hitsAddend: 4n, isNegativeHits: false }),
      descriptor({ user: "bob" }, { limit: { requestsPerUnit: 5, unit: Unit.HOUR, unitMultiplier: 2 } }),
    ],
  }).finish();
  fc.assert(
    fc.property(hostileBytes(good), (bytes) => {
      try {
        const { overallCode, statuses } = send(bytes);
        const worst = statuses.some(({ code }) => code === Code.OVER_LIMIT) ? Code.OVER_LIMIT : Code.OK;
        return statuses.length > 0 && overallCode === worst;
      } catch (error) {
        return error instanceof WeirError && error.code !== "WEIR_INTERNAL";
      }
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.is(sessions(), 0);
});

test("all or nothing: over random descriptors the door agrees with a model that counts", async (t) => {
  const users = ["a", "b", "c"];
  const each = fc.record({
    user: fc.constantFrom(...users),
    path: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
    hits: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
  });
  const policies = `
policy: p
check:
  - { name: user, limit: 10/h, algorithm: fixed-window, by: 'ratelimit.descriptor["user"]' }
  - { name: path, limit: 6/h, algorithm: fixed-window, by: { u: 'ratelimit.descriptor["user"]', p: 'ratelimit.descriptor["path"]' } }`;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(each, { minLength: 1, maxLength: 5 }), { maxLength: 12 }), async (requests) => {
      const { ask } = await doorTo(policies);
      const left = new Map<string, number>();
      const counters = ({ user, path }: { user: string; path: string | undefined }): [string, number][] => [
        [user, 10],
        ...(path === undefined ? [] : ([[`${user} ${path}`, 6]] as [string, number][])),
      ];
      for (const request of requests) {
        const after = new Map(left);
        let fits = true;
        for (const wish of request) {
          for (const [counter, amount] of counters(wish)) {
            const rest = after.get(counter) ?? amount;
            const hits = wish.hits ?? 1;
            if (rest < Math.max(1, hits)) fits = false;
            else after.set(counter, rest - hits);
          }
        }
        const answer = ask(
          request.map(({ user, path, hits }) =>
            descriptor(
              { user, ...(path === undefined ? {} : { path }) },
              { hitsAddend: hits === undefined ? undefined : BigInt(hits) },
            ),
          ),
        );
        if ((answer.overallCode === Code.OK) !== fits || answer.statuses.length !== request.length) return false;
        if (fits) for (const [counter, rest] of after) left.set(counter, rest);
        for (const user of users) {
          const [status] = ask([descriptor({ user }, { hitsAddend: 0n })]).statuses;
          if (status!.limitRemaining !== (left.get(user) ?? 10)) return false;
        }
      }
      return true;
    }),
    { numRuns: fuzzRuns(60) },
  );
  t.pass();
});
