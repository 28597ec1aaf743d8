import type { AttributeUse } from "../../expression/expression.ts";
import type { Limit } from "../../sdk/index.ts";
import type { RawCheckRule } from "../schema/check-rule.ts";
import type { ExpressionText } from "../shape/scalars.ts";
import type { Reading } from "../shape/shape.ts";
import type { CheckRule, LimitRule } from "../snapshot.ts";
import { whyNeverEnded } from "./ending-doors.ts";
import type { RuleContext } from "./rule-head.ts";
import { keyNode, type MapNode } from "../yaml/node.ts";

/**
 * Attributes that a proxy gives for every HTTP request, so that a rule may rest on them. All others depend on who
 * calls and how: a caller without a certificate has no principal, and any header can be left out.
 */
const alwaysGiven = new Set([
  "source.ip",
  "source.port",
  "destination.ip",
  "destination.port",
  "destination.namespace",
  "destination.service.host",
  "destination.service.name",
  "destination.service.namespace",
  "context.protocol",
  "context.time",
  "context.reporter.kind",
  "context.reporter.uid",
  "request.host",
  "request.method",
  "request.path",
  "request.scheme",
  "request.time",
  "request.url_path",
]);

/** Maps of HTTP headers: their keys come in lower case. */
const headerMaps = new Set(["request.headers", "response.headers"]);

/** Warns of what is allowed and probably not meant. */
export function warnOfCheckRule(reading: Reading, raw: RawCheckRule, rule: CheckRule): void {
  if (rule.kind === "deny" && rule.when !== undefined && raw.when !== undefined) {
    const open = rule.when.uses.filter((use) => !use.guarded && (use.key !== undefined || !alwaysGiven.has(use.name)));
    if (open.length > 0) {
      const names = open.slice(0, 3).map(nameOf).join(", ");
      const message = `a request without ${names}${open.length > 3 ? ", ..." : ""} passes this deny`;
      const hint = `say whom to let through in "unless:", or test with has(${nameOf(open[0]!)})`;
      reading.tell(raw.when.node, { code: "WEIR_POLICY_PASSES_ABSENT", message, hint, severity: "warning" });
    }
  }
  // Every door is open, and only those of Mixer, streams and JSON can carry it.
  const removed = rule.kind === "headers" ? rule.response.filter(({ operation }) => operation === "remove") : [];
  for (const { value, node } of raw.headers?.response?.remove?.items ?? []) {
    if (!removed.some(({ name }) => name === value.toLowerCase())) continue;
    const message = `Envoy's ext_authz and forward auth cannot remove a response header: behind them ${value} stays`;
    const hint = `set it to another value, which ext_authz can carry`;
    reading.tell(node, { code: "WEIR_POLICY_NOT_CARRIED", message, hint, severity: "warning" });
  }
  if (rule.when !== undefined) warnOfHeaderCase(reading, raw.when, rule.when.uses);
  if (rule.unless !== undefined) warnOfHeaderCase(reading, raw.unless, rule.unless.uses);
}

/** Warns of what is allowed in a limit and does nothing, or more than is meant. */
export function warnOfLimit(context: RuleContext, raw: RawCheckRule, rule: LimitRule): void {
  warnOfNeverEnded(context, raw, rule);
  warnOfNeverGranted(context, raw, rule);
  const { adapters, reading } = context;
  if (rule.onError === "local" && adapters.get(rule.via)?.adapter.name === "memory") {
    const message = `local has no effect: ${rule.via} counts in this hub's own memory, which is never away`;
    const hint = "leave it out, or name an adapter in via: that hubs share, such as redis";
    reading.tell(raw.onError!.node, { code: "WEIR_POLICY_NO_EFFECT", message, hint, severity: "warning" });
  }
}

/** Warns of a cost that is above all that can be there. What a table says, may be more. */
export function warnOfNeverGranted({ reading }: RuleContext, { cost: text }: RawCheckRule, rule: LimitRule): void {
  const { cost, limit, overrides = [], table } = rule;
  if (text === undefined || cost?.constant === undefined || table !== undefined) return;
  const most = Math.max(...[limit, ...overrides.map((override) => override.limit)].map(capacityOf));
  const units = Number(cost.constant.value);
  if (units <= most) return;
  const message = `a cost of ${units} is never granted: ${rule.id} holds ${most} at most`;
  const hint =
    limit.algorithm === "token-bucket" ? `burst: ${units} lets it be saved up` : "raise the limit, or lower the cost";
  reading.tell(text.node, { code: "WEIR_POLICY_NEVER_GRANTED", message, hint, severity: "warning" });
}

function capacityOf({ algorithm, amount, burst }: Limit): number {
  return algorithm === "token-bucket" ? burst : amount;
}

/** Warns of a limit that waits for reports which nobody may send. */
function warnOfNeverEnded({ reading, listen }: RuleContext, raw: RawCheckRule, rule: LimitRule): void {
  const isLease = rule.limit.algorithm === "concurrency";
  if (!isLease && rule.settle === undefined) return;
  const why = whyNeverEnded(listen, rule.at);
  if (why === undefined) return;
  const what = isLease ? "leases only end when their ttl is over" : "what was taken is never settled";
  const hint = "let the proxies use these doors, in clients: under listen: in weir.yaml";
  const node = keyNode(raw.node, isLease ? "algorithm" : "settle")!;
  reading.tell(node, { code: "WEIR_POLICY_NEVER_ENDS", message: `${what}: ${why}`, hint, severity: "warning" });
}

/** Warns of a limit of which a proxy that keeps to limits by itself is told to refuse everything. */
export function warnOfNotDivided({ reading, listen }: RuleContext, node: MapNode, rule: LimitRule): void {
  if (rule.at !== "ratelimit" || rule.limit.algorithm !== "concurrency" || rule.policy.mode === "observe") return;
  const { clients } = listen.grpc;
  if (clients?.some(({ doors }) => doors?.includes("ratelimit_quota") !== false) === false) return;
  reading.tell(keyNode(node, "algorithm") ?? node, {
    code: "WEIR_POLICY_NOT_DIVIDED",
    message:
      "what is at work at once cannot be divided: a proxy with rate limit quotas refuses all that this limit is for",
    hint: "where both kinds of proxies ask, let it read what buckets lack, or leave ratelimit_quota out of clients' doors",
    severity: "warning",
  });
}

/** Warns of a header that is looked up by a name with upper case letters, and so never found. */
export function warnOfHeaderCase(
  reading: Reading,
  text: ExpressionText | undefined,
  uses: readonly AttributeUse[],
): void {
  for (const { name, key } of uses) {
    if (text === undefined || key === undefined || !headerMaps.has(name) || key === key.toLowerCase()) continue;
    const message = `${name}["${key}"] is never there: header names come in lower case`;
    const hint = `did you mean "${key.toLowerCase()}"?`;
    reading.tell(text.node, { code: "WEIR_POLICY_HEADER_CASE", message, hint, severity: "warning" });
  }
}

function nameOf(use: AttributeUse): string {
  return use.key === undefined ? use.name : `${use.name}[${JSON.stringify(use.key)}]`;
}
