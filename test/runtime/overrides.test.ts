import test from "ava";
import { world } from "./world.ts";

const config = "attributes: { tenant.id: string, tenant.plan: string, tenant.seats: string }";

const plans = `
policy: p
check:
  - name: l
    limit: 10/s
    by: tenant.id
    overrides:
      - { when: tenant.plan == "gold", limit: 100/s, burst: 200 }
      - { when: tenant.plan == "trial", limit: 2/s }
`;

test("the first override that holds says the amount, and the rule's own limit where none does", async (t) => {
  const { checkNow } = await world(plans, [], { config });
  const left = (id: string, plan?: string) =>
    checkNow({ "tenant.id": id, ...(plan === undefined ? {} : { "tenant.plan": plan }) }).limits[0]!;
  t.like(left("a", "gold"), { rule: "p/l", amount: 100, remaining: 199 });
  t.like(left("b", "trial"), { amount: 2, remaining: 1 });
  t.like(left("c", "silver"), { amount: 10, remaining: 9 });
  t.like(left("d"), { amount: 10, remaining: 9 }, "absence does not hold");
});

test("a refusal says the amount that refused, and the decision reads what its overrides read", async (t) => {
  const { checkNow } = await world(plans, [], { config });
  for (let i = 0; i < 2; i++) t.true(checkNow({ "tenant.id": "a", "tenant.plan": "trial" }).allowed);
  t.is(checkNow({ "tenant.id": "a", "tenant.plan": "trial" }).message, "p/l: the limit of 2/s is used up");
});

test("a change of plan keeps what was spent, and what is above the smaller plan drains at its rate", async (t) => {
  const { checkNow, clock } = await world(plans, [], { config });
  const ask = (plan: string) => checkNow({ "tenant.id": "a", "tenant.plan": plan });
  for (let i = 0; i < 30; i++) t.true(ask("gold").allowed);
  const refused = ask("silver");
  t.like(refused, { allowed: false });
  t.is(refused.limits[0]!.retryAfterMs, 2100, "21 of the 30 units at 10/s");
  t.like(ask("gold").limits[0], { allowed: true, remaining: 169 }, "changing to and fro refills nothing");
  await clock.advance(2200);
  t.true(ask("silver").allowed);
});

for (const algorithm of ["sliding-window", "fixed-window", "calendar"]) {
  test(`${algorithm}: an override with the rule's window shares its count, one with another window has its own`, async (t) => {
    const [one, other] = algorithm === "calendar" ? ["hour", "day"] : ["h", "d"];
    const { checkNow } = await world(
      `policy: p
check:
  - name: l
    limit: 5/${one}
    algorithm: ${algorithm}
    overrides:
      - { when: tenant.plan == "gold", limit: 50/${one} }
      - { when: tenant.plan == "other", limit: 50/${other} }`,
      [],
      { config },
    );
    const left = (plan: string) => checkNow({ "tenant.plan": plan }).limits[0]!.remaining;
    t.is(left("none"), 4);
    t.is(left("gold"), 48);
    t.is(left("other"), 49);
    t.is(left("none"), 2);
    t.is(left("other"), 48);
  });
}

test("where it cannot be said whether an override holds, the least limit is taken that may hold", async (t) => {
  const { checkNow, told } = await world(
    `
policy: p
check:
  - name: l
    limit: 10/s
    overrides:
      - { when: tenant.plan == "slow", limit: 1/h }
      - { when: int(tenant.seats) > 100, limit: 1000/s }
      - { when: tenant.plan == "low", limit: 5/s }
`,
    [],
    { config },
  );
  t.is(checkNow({ "tenant.seats": "many", "tenant.plan": "gold" }).limits[0]!.amount, 5);
  t.is(checkNow({ "tenant.seats": "many", "tenant.plan": "slow" }).limits[0]!.amount, 1);
  t.is(checkNow({ "tenant.seats": "101", "tenant.plan": "gold" }).limits[0]!.amount, 1000);
  t.is(checkNow({ "tenant.plan": "low" }).limits[0]!.amount, 5);
  t.deepEqual(
    told.filter((line) => line.includes("overrides")),
    ["fault p/l overrides"],
  );
});

test("a limit that the caller names is overridden too", async (t) => {
  const { checkNow } = await world(plans, [], { config });
  const asked = { quotas: new Map([["l", { amount: 150, bestEffort: false }]]) };
  const granted = (plan: string, id: string) =>
    checkNow({ "tenant.id": id, "tenant.plan": plan }, asked).quotas.get("l")!.granted;
  t.is(granted("gold", "a"), 150);
  t.is(granted("silver", "b"), 0);
});

test("a rate limit door judges overrides, and does not need what only they read", async (t) => {
  const { rateLimitNow, snapshot } = await world(
    `
policy: p
check:
  - name: l
    limit: 10/s
    by: source.ip
    overrides: [{ when: 'ratelimit.descriptor["plan"] == "gold"', limit: 100/s }]
`,
  );
  t.like(snapshot.checks[0], { at: "ratelimit" }, "what its overrides read says where it is charged");
  const amount = (descriptor: Record<string, string>) =>
    rateLimitNow([[{ "source.ip": "10.0.0.1", "ratelimit.descriptor": descriptor }]]).descriptors[0]!.limits[0]!.amount;
  t.is(amount({ plan: "gold" }), 100);
  t.is(amount({}), 10);
  const own = { override: { amount: 7, windowMs: 1000 } };
  t.is(
    rateLimitNow([[{ "source.ip": "10.0.0.1", "ratelimit.descriptor": { plan: "gold" } }, own]]).descriptors[0]!
      .limits[0]!.amount,
    7,
    "what a descriptor says itself comes first",
  );
});
