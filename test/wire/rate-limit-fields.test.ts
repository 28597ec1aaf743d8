import test from "ava";
import type { LimitState } from "../../src/runtime/decision.ts";
import { rateLimitFields } from "../../src/wire/rate-limit-fields.ts";

const perSecond: LimitState = {
  rule: "shop/burst",
  allowed: true,
  amount: 10,
  windowMs: 1000,
  remaining: 4.5,
  resetMs: 550,
};
const perDay: LimitState = {
  rule: "shop/day",
  allowed: false,
  amount: 1000,
  windowMs: 86_400_000,
  remaining: 0,
  resetMs: 3_600_000,
  retryAfterMs: 86_401,
};

const cases: {
  title: string;
  limits: readonly LimitState[];
  style?: "draft" | "legacy" | "both" | "none";
  on?: "refused" | "always";
  fields: Record<string, string>;
}[] = [
  { title: "no limit, no field", limits: [], on: "always", fields: {} },
  {
    title: "a limit whose store did not answer is told of in any case",
    limits: [perSecond, { ...perDay, allowed: true, degraded: true }],
    fields: { "x-weir-degraded": "shop/day" },
  },
  {
    title: "a limit whose store did not answer is not told of where nothing is to be",
    limits: [{ ...perDay, allowed: true, degraded: true }],
    style: "none",
    fields: {},
  },
  { title: "a limit that grants is not told of unless asked", limits: [perSecond], fields: {} },
  {
    title: "a limit that grants is told of when asked",
    limits: [perSecond],
    on: "always",
    fields: { "ratelimit-policy": '"shop/burst";q=10;w=1', ratelimit: '"shop/burst";r=4;t=1' },
  },
  {
    title: "a limit that refuses says when to come again, and stands beside the others",
    limits: [perSecond, perDay],
    fields: {
      "retry-after": "87",
      "ratelimit-policy": '"shop/burst";q=10;w=1, "shop/day";q=1000;w=86400',
      ratelimit: '"shop/burst";r=4;t=1, "shop/day";r=0;t=3600',
    },
  },
  {
    title: "of several limits that refuse, the one that asks to wait the longest says when to come again",
    limits: [perDay, { ...perSecond, allowed: false, retryAfterMs: 300 }],
    style: "none",
    fields: { "retry-after": "87" },
  },
  {
    title: "the older fields tell of the limit that refuses",
    limits: [perSecond, perDay],
    style: "legacy",
    fields: {
      "retry-after": "87",
      "x-ratelimit-limit": "1000",
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": "3600",
    },
  },
  {
    title: "the older fields tell of the limit with the smallest part left",
    limits: [perSecond, { ...perDay, allowed: true, remaining: 900 }],
    style: "legacy",
    on: "always",
    fields: { "x-ratelimit-limit": "10", "x-ratelimit-remaining": "4", "x-ratelimit-reset": "1" },
  },
  {
    title: "style none still says when to come again",
    limits: [perDay],
    style: "none",
    on: "always",
    fields: { "retry-after": "87" },
  },
  {
    title: "style none says nothing of a limit that grants",
    limits: [perSecond],
    style: "none",
    on: "always",
    fields: {},
  },
  {
    title: "an amount that will never be granted has no time to come again",
    limits: [perDay, { ...perDay, rule: "shop/size", retryAfterMs: undefined as never }],
    style: "none",
    fields: {},
  },
  {
    title: "nobody is told to come again in 0 seconds",
    limits: [{ ...perDay, retryAfterMs: 0.2 }],
    style: "none",
    fields: { "retry-after": "1" },
  },
  {
    title: "a limit whose store is down says so, and not what is left",
    limits: [{ ...perSecond, remaining: 0, resetMs: 0, degraded: true }],
    style: "both",
    on: "always",
    fields: {
      "x-weir-degraded": "shop/burst",
      "ratelimit-policy": '"shop/burst";q=10;w=1',
      ratelimit: '"shop/burst";r=0;degraded',
    },
  },
  {
    title: "a window of no whole seconds is left out",
    limits: [{ ...perSecond, windowMs: 250 }],
    on: "always",
    fields: { "ratelimit-policy": '"shop/burst";q=10', ratelimit: '"shop/burst";r=4;t=1' },
  },
];

for (const { title, limits, style = "draft", on = "refused", fields } of cases) {
  test(title, (t) => {
    t.deepEqual(Object.fromEntries(rateLimitFields(limits, { style, on })), fields);
  });
}
