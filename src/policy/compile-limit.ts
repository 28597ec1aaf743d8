import type { Expression } from "../expression/expression.ts";
import { calendarUnits } from "../sdk/index.ts";
import { findAdapter } from "./adapter-names.ts";
import type { RawCheckRule } from "./check-rule-shape.ts";
import type { RuleContext, RuleHead } from "./compile-rules.ts";
import { scalar, whole } from "./rule-expressions.ts";
import type { LimitRule } from "./snapshot.ts";
import { keyNode } from "./yaml/node.ts";

type LimitParts = Pick<LimitRule, "limit" | "via" | "by" | "at" | "onError"> & {
  readonly cost: LimitRule["cost"] | undefined;
};

/** Compiles what only a limit has. `undefined` when its rate cannot be read, which is told. */
export function compileLimit(context: RuleContext, raw: RawCheckRule, head: RuleHead): LimitParts | undefined {
  const { reading, expressions, policy } = context;
  const key = keyNode(raw.node, "limit")!;
  const via = raw.via?.value ?? "memory";
  findAdapter(context.adapters, reading, raw.via?.node ?? key, via, "quota");

  const unit = raw.limit?.value.calendar;
  const algorithm = raw.algorithm?.value ?? (unit === undefined ? "token-bucket" : "calendar");
  if (raw.burst !== undefined && algorithm !== "token-bucket") {
    const message = `burst belongs to the algorithm token-bucket; this limit is a ${algorithm}`;
    const hint = "a window's burst is its whole amount";
    reading.tell(keyNode(raw.node, "burst")!, { code: "WEIR_POLICY_SHAPE", message, hint });
  }
  if (raw.zone !== undefined && algorithm !== "calendar") {
    const message = `zone belongs to the algorithm calendar; this limit is a ${algorithm}`;
    reading.tell(keyNode(raw.node, "zone")!, { code: "WEIR_POLICY_SHAPE", message });
  }
  if (raw.limit !== undefined && (unit === undefined) === (algorithm === "calendar")) {
    const message =
      unit === undefined
        ? "expected a unit of the calendar, such as 1000/month"
        : `a ${unit} is a unit of the calendar; this limit is a ${algorithm}`;
    const hint =
      unit === undefined ? `units are ${calendarUnits.join(", ")}` : "leave out algorithm, or write calendar";
    reading.tell(raw.limit.node, { code: "WEIR_POLICY_RATE", message, hint });
    return undefined;
  }

  const by: { name: string; value: Expression }[] = [];
  const parts = raw.by === undefined ? [] : "entries" in raw.by ? raw.by.entries : [{ name: "key", value: raw.by }];
  for (const { name, value } of parts) {
    const expression = expressions.compile(reading, value, "check", scalar);
    if (expression !== undefined) by.push({ name, value: expression });
  }

  const cost = raw.cost && expressions.compile<number | bigint>(reading, raw.cost, "check", whole);
  if (raw.cost !== undefined && cost?.constant !== undefined && cost.constant.value < 0)
    reading.tell(raw.cost.node, { code: "WEIR_POLICY_SHAPE", message: "a cost is 0 or more" });

  if (raw.limit === undefined) return undefined;
  const { amount, windowMs } = raw.limit.value;
  const read = [policy.match, head.when, head.unless, cost, ...by.map((part) => part.value)];
  const readsRateLimit = read.some((each) => each?.uses.some((use) => use.name.startsWith("ratelimit.")));
  return {
    limit: {
      id: policy.mode === "observe" ? `${head.id}#observe` : head.id,
      algorithm,
      amount,
      windowMs,
      ...(unit === undefined ? {} : { calendar: { unit, zone: raw.zone?.value ?? "UTC" } }),
      burst: raw.burst?.value ?? amount,
    },
    via,
    by,
    cost,
    at: raw.at?.value ?? (readsRateLimit ? "ratelimit" : "check"),
    onError: raw.onError?.value ?? "allow",
  };
}
