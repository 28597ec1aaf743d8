import type { Layout } from "../../attributes/layout.ts";
import type { Expression } from "../../expression/expression.ts";
import { calendarUnits } from "../../sdk/index.ts";
import type { Algorithm, Limit } from "../../sdk/index.ts";
import { findAdapter } from "../config/adapter-names.ts";
import type { RawCheckRule } from "../schema/check-rule.ts";
import type { RuleContext, RuleHead } from "./rule-head.ts";
import { condition, scalar, whole } from "./rule-expressions.ts";
import { rateExpected, type Rate } from "../../sdk/index.ts";
import type { Located, Reading } from "../shape/shape.ts";
import type { LimitOverride, LimitRule } from "../snapshot.ts";
import { keyNode } from "../yaml/node.ts";

type LimitParts = Pick<LimitRule, "limit" | "via" | "by" | "at" | "onError"> & {
  readonly share: LimitRule["share"] | undefined;
  readonly cost: LimitRule["cost"] | undefined;
  readonly overrides: LimitRule["overrides"] | undefined;
  readonly table: LimitRule["table"] | undefined;
} & Holding;

interface Holding {
  readonly holdMs: LimitRule["holdMs"] | undefined;
  readonly settle: LimitRule["settle"] | undefined;
}

/** How long leases last, and how long what a limit with `settle` took is held, where the rule does not say. */
const defaultTtlMs = 60_000;
const defaultHoldMs = 600_000;

/** Compiles what only a limit has. `undefined` when its rate cannot be read, which is told. */
export function compileLimit(context: RuleContext, raw: RawCheckRule, head: RuleHead): LimitParts | undefined {
  const { reading, expressions, policy } = context;
  const key = keyNode(raw.node, "limit")!;
  const via = raw.via?.value ?? "memory";
  const adapter = findAdapter(context.adapters, reading, raw.via?.node ?? key, via, "quota");
  const consistency = raw.consistency?.value ?? "exact";
  if (
    adapter !== undefined &&
    consistency !== "exact" &&
    adapter.adapter.consistencies?.includes(consistency) !== true
  ) {
    const message = `the adapter "${via}" keeps no ${consistency} counts`;
    const able = [...context.adapters.values()].filter((each) => each?.adapter.consistencies?.includes(consistency));
    const others = able.slice(0, 10).map((each) => each!.name);
    const hint = `leave out consistency: its counts are exact${others.length === 0 ? "" : `; those that can are ${others.join(", ")}`}`;
    reading.tell(raw.consistency!.node, { code: "WEIR_POLICY_CAPABILITY", message, hint });
  }

  const unit = raw.limit?.value.calendar;
  const algorithm = raw.algorithm?.value ?? (unit === undefined ? "token-bucket" : "calendar");
  tellBurst(reading, raw, algorithm);
  if (raw.zone !== undefined && algorithm !== "calendar") {
    const message = `zone belongs to the algorithm calendar; this limit is a ${algorithm}`;
    reading.tell(keyNode(raw.node, "zone")!, { code: "WEIR_POLICY_SHAPE", message });
  }
  // An algorithm that cannot be read is told already; the rate is not held against the default in its place.
  const isUnread = raw.algorithm === undefined && keyNode(raw.node, "algorithm") !== undefined;
  const fits =
    raw.limit === undefined ||
    isUnread ||
    fitsAlgorithm(reading, raw.limit, algorithm, "leave out algorithm, or write calendar");

  const by: { name: string; value: Expression }[] = [];
  const parts = raw.by === undefined ? [] : "entries" in raw.by ? raw.by.entries : [{ name: "key", value: raw.by }];
  for (const { name, value } of parts) {
    const expression = expressions.compile(reading, value, "check", scalar);
    if (expression !== undefined) by.push({ name, value: expression });
  }

  const cost = raw.cost && expressions.compile<number | bigint>(reading, raw.cost, "check", whole);
  if (raw.cost !== undefined && cost?.constant !== undefined && cost.constant.value < 0)
    reading.tell(raw.cost.node, { code: "WEIR_POLICY_SHAPE", message: "a cost is 0 or more" });

  const table = compileTable(context, raw, by);
  const { holdMs, settle } = compileHolding(context, raw, algorithm, via);
  if (raw.limit === undefined || !fits) return undefined;
  const ttlMs = raw.ttl?.value ?? defaultTtlMs;
  const limitOf = ({ amount, windowMs, calendar }: Rate, burst: number | undefined): Limit => ({
    id: policy.mode === "observe" ? `${head.id}#observe` : head.id,
    algorithm,
    amount,
    windowMs: algorithm === "concurrency" ? ttlMs : windowMs,
    ...(calendar === undefined ? {} : { calendar: { unit: calendar, zone: raw.zone?.value ?? "UTC" } }),
    burst: burst ?? amount,
    ...(consistency === "exact" ? {} : { consistency }),
  });
  const overrides: LimitOverride[] = [];
  for (const override of raw.overrides?.items ?? []) {
    const { when: text, limit: rate, burst } = override;
    tellBurst(reading, override, algorithm);
    const when = text && expressions.compile<boolean>(reading, text, "check", condition);
    if (rate === undefined || !fitsAlgorithm(reading, rate, algorithm, "an override counts as its rule does")) continue;
    if (when !== undefined) overrides.push({ when, limit: limitOf(rate.value, burst?.value) });
  }

  const read = [
    policy.match,
    head.when,
    head.unless,
    cost,
    ...by.map((part) => part.value),
    table?.key,
    ...overrides.map((override) => override.when),
  ];
  const onError = raw.onError?.value ?? "allow";
  if (raw.share !== undefined && onError !== "local") {
    const message = "share says by what part a limit counts here while its adapter fails";
    reading.tell(keyNode(raw.node, "share")!, { code: "WEIR_POLICY_SHAPE", message, hint: "with onError: local" });
  }
  const readsRateLimit = read.some((each) => each?.uses.some((use) => use.name.startsWith("ratelimit.")));
  return {
    limit: limitOf(raw.limit.value, raw.burst?.value),
    overrides: overrides.length === 0 ? undefined : overrides,
    table,
    via,
    by,
    cost,
    holdMs,
    settle,
    at: raw.at?.value ?? (readsRateLimit ? "ratelimit" : "check"),
    onError,
    share: onError === "local" ? (raw.share?.value ?? context.share) : undefined,
  };
}

/** Where the limits of single keys are read. */
function compileTable(context: RuleContext, raw: RawCheckRule, by: LimitRule["by"]): LimitRule["table"] | undefined {
  const { reading, adapters, expressions } = context;
  const key = raw.tableKey && expressions.compile(reading, raw.tableKey, "check", scalar);
  if (raw.table === undefined) {
    if (raw.tableKey !== undefined)
      reading.tell(keyNode(raw.node, "tableKey")!, {
        code: "WEIR_POLICY_SHAPE",
        message: "tableKey says by what a row is found, and no table is named",
        hint: "name one: table: plans",
      });
    return undefined;
  }
  const { value: from, node } = raw.table;
  findAdapter(adapters, reading, node, from, "table");
  if (raw.tableKey === undefined && by.length !== 1) {
    const message = "it is not said by what a row of the table is found";
    reading.tell(node, { code: "WEIR_POLICY_SHAPE", message, hint: "tableKey: tenant.id" });
  }
  const found = raw.tableKey === undefined ? by[0]?.value : key;
  return found && { from, key: found };
}

function tellBurst(
  reading: Reading,
  { node, burst }: Pick<RawCheckRule, "node" | "burst">,
  algorithm: Algorithm,
): void {
  if (burst === undefined || algorithm === "token-bucket") return;
  const message = `burst belongs to the algorithm token-bucket; this limit is a ${algorithm}`;
  const hint = "a window's burst is its whole amount";
  reading.tell(keyNode(node, "burst")!, { code: "WEIR_POLICY_SHAPE", message, hint });
}

/** Whether what a decision took of the limit is held under its id, and how it is settled. */
function compileHolding(context: RuleContext, raw: RawCheckRule, algorithm: Algorithm, via: string): Holding {
  const { reading, expressions, adapters } = context;
  const isLease = algorithm === "concurrency";
  const misplaced = (name: "ttl" | "hold" | "settle", message: string, hint: string): void =>
    reading.tell(keyNode(raw.node, name)!, { code: "WEIR_POLICY_SHAPE", message, hint });
  if (raw.ttl !== undefined && !isLease)
    misplaced(
      "ttl",
      `ttl belongs to the algorithm concurrency; this limit is a ${algorithm}`,
      "hold says how long what was taken can be refunded",
    );
  if (raw.hold !== undefined && isLease)
    misplaced("hold", "what is at work at once is held for its ttl", "leave it out, or write ttl");
  if (raw.settle !== undefined && isLease)
    misplaced("settle", "what is at work at once ends with its request: there is nothing to settle", "leave it out");
  const settle = raw.settle && expressions.compile<number | bigint>(reading, raw.settle, "report", whole);
  const holdMs = isLease
    ? (raw.ttl?.value ?? defaultTtlMs)
    : (raw.hold?.value ?? (raw.settle === undefined ? undefined : defaultHoldMs));
  if (holdMs === undefined) return { holdMs, settle };
  if (adapters.get(via)?.adapter.provides.includes("quota") === true)
    findAdapter(adapters, reading, raw.via?.node ?? keyNode(raw.node, "limit")!, via, "holds");
  if (raw.consistency !== undefined && raw.consistency.value !== "exact") {
    const what = isLease ? "what is at work at once" : "what is held under a decision's id";
    const message = `${what} is counted exactly; this limit is ${raw.consistency.value}`;
    reading.tell(raw.consistency.node, { code: "WEIR_POLICY_SHAPE", message, hint: "leave out consistency" });
  }
  if (isLease || settle !== undefined) listenToReports(expressions.layouts.report);
  return { holdMs, settle };
}

/** What tells that a request is over, and which decision was its own. */
function listenToReports(layout: Layout): void {
  layout.declare("check.decision_id", "string");
  layout.declare("ratelimit.decision_id", "string");
  layout.declareUnread("connection.event", "string");
}

/** Whether the window is of the algorithm's kind: a unit of the calendar, a length, or none. */
function fitsAlgorithm(reading: Reading, { value, node }: Located<Rate>, algorithm: Algorithm, hint: string): boolean {
  const unit = value.calendar;
  const isPlain = value.windowMs === 0;
  if (isPlain !== (algorithm === "concurrency")) {
    const message = isPlain
      ? `expected ${rateExpected}, got ${value.amount}`
      : "expected how many may be at work at once, such as 100: concurrency has no window";
    const other = isPlain
      ? "with algorithm: concurrency so many may be at work at once"
      : "ttl says how long a lease lasts";
    reading.tell(node, { code: "WEIR_POLICY_RATE", message, hint: other });
    return false;
  }
  if ((unit !== undefined) === (algorithm === "calendar")) return true;
  const message =
    unit === undefined
      ? "expected a unit of the calendar, such as 1000/month"
      : `a ${unit} is a unit of the calendar; this limit is a ${algorithm}`;
  const units = `units are ${calendarUnits.join(", ")}`;
  reading.tell(node, { code: "WEIR_POLICY_RATE", message, hint: unit === undefined ? units : hint });
  return false;
}
