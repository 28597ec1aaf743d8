import test from "ava";
import { z } from "zod";
import { defineAdapter } from "../../src/sdk/index.ts";
import type { Adapter } from "../../src/sdk/index.ts";
import { makeInstance, testAdapter } from "../../src/sdk/testing.ts";

const config = z.strictObject({ limit: z.int().default(5) });
const allow = { allow: true } as const;

// The compiler is the test: each @ts-expect-error below fails the build when the line after it compiles.

defineAdapter({
  name: "offers-what-it-does-not-declare",
  provides: ["check"],
  config,
  // @ts-expect-error check is declared, quota is offered
  create: () => ({ quota: () => [] }),
});

defineAdapter({
  name: "lacks-what-it-declares",
  provides: ["check", "logs"],
  config,
  // @ts-expect-error logs is missing
  create: () => ({ check: () => allow }),
});

defineAdapter({
  name: "declares-what-there-is-not",
  // @ts-expect-error there is no such capability
  provides: ["approve"],
  config,
  create: () => ({}),
});

defineAdapter({
  name: "reads-an-input-it-did-not-declare",
  provides: ["check"],
  input: { user: "string" },
  config,
  // @ts-expect-error group is no input
  create: () => ({ check: ({ group }) => ({ allow: group === "a" }) }),
});

defineAdapter({
  name: "takes-an-input-for-another-type",
  provides: ["check"],
  input: { size: "int64" },
  config,
  // @ts-expect-error size is a number
  create: () => ({ check: ({ size }) => ({ allow: size.startsWith("1") }) }),
});

defineAdapter({
  name: "forgets-that-an-input-is-optional",
  provides: ["check"],
  input: { "user?": "string" },
  config,
  // @ts-expect-error user may be undefined
  create: () => ({ check: ({ user }) => ({ allow: user.length > 0 }) }),
});

defineAdapter({
  name: "reads-a-config-key-it-did-not-declare",
  provides: ["check"],
  config,
  // @ts-expect-error the schema has no such key
  create: ({ burst }) => ({ check: () => ({ allow: burst > 0 }) }),
});

defineAdapter({
  name: "answers-a-verdict-of-another-shape",
  provides: ["check"],
  config,
  // @ts-expect-error a verdict says allow
  create: () => ({ check: () => ({ status: "ok" }) }),
});

defineAdapter({
  name: "refuses-with-a-code-that-is-none",
  provides: ["check"],
  config,
  // @ts-expect-error there is no such code
  create: () => ({ check: () => ({ allow: false, code: "forbidden" }) }),
});

defineAdapter({
  name: "answers-an-output-of-another-type",
  provides: ["attributes"],
  outputs: { team: "string" },
  config,
  // @ts-expect-error team is a text
  create: () => ({ attributes: () => ({ team: 7 }) }),
});

defineAdapter({
  name: "answers-attributes-later",
  provides: ["attributes"],
  outputs: { team: "string" },
  config,
  // @ts-expect-error what is known is known at once
  create: () => ({ attributes: async () => ({ team: "a" }) }),
});

defineAdapter({
  name: "answers-a-promise-where-none-may-be",
  provides: ["metrics"],
  config,
  // @ts-expect-error a recorder is there at once
  create: () => ({ metrics: async () => ({ record: () => undefined }) }),
});

const good = defineAdapter({
  name: "good",
  provides: ["check", "quota"],
  input: { user: "string", "size?": "int64", at: "timestamp", headers: "string_map" },
  config,
  async create({ limit }, host) {
    return {
      check({ user, size, at, headers }, call) {
        const number: number = (size ?? 0) + at.getTime() + limit + host.now();
        return { allow: user.length + number > 0 && headers.size >= 0 && !call.signal.aborted };
      },
      quota: async (charges) =>
        charges.map(({ amount }) => ({ allowed: true, granted: amount, remaining: 0, resetMs: 0, validForMs: 0 })),
      close: () => undefined,
    };
  },
});

const none: readonly never[] = [];
const undeclared = (): void => {
  // @ts-expect-error an adapter that checks names inputs to try
  testAdapter(test, good, { config: {} });
  // @ts-expect-error the configuration is one of the schema's
  testAdapter(test, good, { config: { limit: "5" }, checks: none });
  // @ts-expect-error an input that is required is missing
  testAdapter(test, good, { config: {}, checks: [{ input: { user: "a" }, allow: true }] });
};

defineAdapter({
  name: "writes-undefined-for-nothing",
  provides: ["check", "quota", "logs"],
  config,
  create: () => ({
    check: () => ({ allow: false, code: undefined, message: undefined, validForMs: undefined, validUses: undefined }),
    quota: () => [{ allowed: false, granted: 0, remaining: 0, resetMs: 0, retryAfterMs: undefined, validForMs: 0 }],
    logs: () => ({ delivered: 0, retry: true, reason: "away", retryAfterMs: undefined }),
  }),
});

test("an instance for tests answers outputs of their declared types", async (t) => {
  const teams = defineAdapter({
    name: "teams",
    provides: ["attributes"],
    input: { account: "string" },
    outputs: { team: "string" },
    config,
    create: () => ({ attributes: ({ account }) => ({ team: account.toUpperCase() }) }),
  });
  const known = (await makeInstance(teams, {})).attributes({ account: "a" });
  const team: string | undefined = known?.team;
  t.is(team, "A");
});

test("an adapter as it should be compiles, and is an adapter among others", (t) => {
  const any: Adapter = good;
  t.is(any.name, "good");
  t.is(typeof undeclared, "function");
});
