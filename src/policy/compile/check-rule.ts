import { findAdapter } from "../config/adapter-names.ts";
import type { RawCheckRule, RawHttp } from "../schema/check-rule.ts";
import type { RawEdits, RawQuery } from "../schema/header-edits.ts";
import { compileInputs } from "./inputs.ts";
import { compileLimit } from "./limit.ts";
import { compileHead } from "./rule-head.ts";
import type { RuleContext } from "./rule-head.ts";
import { checkHeaderValue, readHeaderName } from "./header-name.ts";
import { textual } from "./rule-expressions.ts";
import type { AskRule, CheckRule, DenyRule, DirectResponse, HeaderEdit, HeadersRule, LimitRule } from "../snapshot.ts";
import { shaped } from "./shaped.ts";
import { warnOfCheckRule, warnOfLimit, warnOfNotDivided } from "./warnings.ts";
import { keyNode } from "../yaml/node.ts";

/** Compiles one check rule, yet without its ordinal. `undefined` when it cannot be used, which is told. */
export function compileCheckRule(context: RuleContext, raw: RawCheckRule): CheckRule | undefined {
  const rule = compileKind(context, raw);
  if (rule !== undefined) warnOfCheckRule(context.reading, raw, rule);
  if (rule?.kind !== "limit") return rule;
  warnOfLimit(context, raw, rule);
  warnOfNotDivided(context, raw.node, rule);
  return rule;
}

function compileKind(context: RuleContext, raw: RawCheckRule): CheckRule | undefined {
  const { reading } = context;
  const head = {
    ordinal: -1,
    ...compileHead(context, raw, raw.name, "check"),
    message: raw.message?.value,
    http: raw.http && compileHttp(context, raw.http),
    cacheMs: raw.cache?.value,
  };
  switch (raw.kind) {
    case "deny":
      return raw.deny && shaped<DenyRule>({ kind: "deny", ...head, code: raw.deny.value });
    case "ask": {
      if (raw.ask === undefined) return undefined;
      const ask = raw.ask.value;
      const entry = findAdapter(context.adapters, reading, raw.ask.node, ask, "check");
      const inputs = compileInputs(context, {
        ...{ phase: "check", adapter: entry?.adapter, name: ask, inputs: raw.with?.entries ?? [] },
        node: keyNode(raw.node, "with") ?? raw.ask.node,
      });
      const onError = raw.onError?.value === "allow" ? "allow" : "deny";
      return shaped<AskRule>({ kind: "ask", ...head, ask, with: inputs, onError });
    }
    case "limit": {
      const parts = compileLimit(context, raw, head);
      return parts && shaped<LimitRule>({ kind: "limit", ...head, ...parts, top: undefined });
    }
    case "headers": {
      const request = compileEdits(context, raw.headers?.request);
      const response = compileEdits(context, raw.headers?.response);
      if (raw.headers !== undefined && raw.headers.node.entries.length === 0)
        reading.mismatch(raw.headers.node, "changes under request:, response: or query:");
      const query = compileQuery(context, raw.headers?.query);
      return shaped<HeadersRule>({
        kind: "headers",
        ...head,
        request,
        response,
        query: query.length > 0 ? query : undefined,
      });
    }
  }
}

function compileHttp({ reading }: RuleContext, raw: RawHttp): DirectResponse {
  const headers: { name: string; value: string }[] = [];
  for (const { key, name, value } of raw.headers?.entries ?? []) {
    const lower = readHeaderName(reading, key, name);
    checkHeaderValue(reading, value);
    if (lower === undefined) continue;
    if (headers.some((header) => header.name === lower)) tellTwice(reading, key, lower);
    else headers.push({ name: lower, value: value.value });
  }
  return {
    ...(raw.status !== undefined && { status: raw.status.value }),
    ...(raw.body !== undefined && { body: raw.body.value }),
    headers,
  };
}

function compileEdits(context: RuleContext, raw: RawEdits | undefined): readonly HeaderEdit[] {
  const { reading, expressions } = context;
  const edits: HeaderEdit[] = [];
  for (const operation of ["set", "append"] as const) {
    for (const { name, key, value } of raw?.[operation]?.entries ?? []) {
      const lower = readHeaderName(reading, key, name);
      const expression = expressions.compile<string>(reading, value, "check", textual);
      if (lower === undefined || expression === undefined) continue;
      if (edits.some((edit) => edit.operation === operation && edit.name === lower)) tellTwice(reading, key, lower);
      if (expression.constant !== undefined)
        checkHeaderValue(reading, { value: expression.constant.value, node: value.node });
      edits.push({ operation, name: lower, value: expression });
    }
  }
  for (const { value, node } of raw?.remove?.items ?? []) {
    const lower = readHeaderName(reading, node, value);
    if (lower === undefined) continue;
    if (edits.some((edit) => edit.name === lower)) tellTwice(reading, node, lower);
    else edits.push({ operation: "remove", name: lower });
  }
  return edits;
}

function compileQuery(context: RuleContext, raw: RawQuery | undefined): readonly HeaderEdit[] {
  const { reading, expressions } = context;
  const edits: HeaderEdit[] = [];
  for (const { name, value } of raw?.set?.entries ?? []) {
    const expression = expressions.compile<string>(reading, value, "check", textual);
    if (expression !== undefined) edits.push({ operation: "set", name, value: expression });
  }
  for (const { value: name, node } of raw?.remove?.items ?? []) {
    if (edits.some((edit) => edit.name === name)) {
      const message = `the parameter "${name.slice(0, 60)}" is named here already`;
      reading.tell(node, { code: "WEIR_POLICY_DUPLICATE", message });
    } else edits.push({ operation: "remove", name });
  }
  return edits;
}

function tellTwice(reading: RuleContext["reading"], node: { start: number; end: number }, name: string): void {
  const message = `the header "${name}" is named here already`;
  reading.tell(node, { code: "WEIR_POLICY_DUPLICATE", message, hint: "upper and lower case are the same header" });
}
