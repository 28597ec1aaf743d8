import type { CheckRule, HeaderEdit, Policy, ReportRule } from "../policy/snapshot.ts";
import { maskConfig } from "./mask.ts";
import type { AdapterView, HubView, LoadedPolicies } from "./view.ts";

/** `undefined` stands for a key that is left out, as JSON.stringify has it. */
type Described = Readonly<Record<string, unknown>>;

/** How the hub is: what somebody asks first. */
export function describeStatus(hub: HubView, nowMs: number, person: string | undefined): Described {
  const loaded = hub.loaded();
  const reload = hub.lastReload();
  return {
    version: hub.version,
    started: new Date(hub.startedMs).toISOString(),
    uptime_seconds: Math.max(0, Math.floor((nowMs - hub.startedMs) / 1000)),
    ready: whyNotReady(hub).length === 0,
    draining: hub.draining(),
    asked_by: person,
    listeners: hub.listeners(),
    credentials: describeCredentials(hub, nowMs),
    ledger: describeLedger(hub),
    adapters_not_ready: describeUnready(hub),
    policies: loaded && {
      version: loaded.version,
      policies: loaded.policies.length,
      check_rules: loaded.checks.length,
      report_rules: loaded.reports.length,
    },
    last_reload: reload && { ok: reload.ok, time: new Date(reload.timeMs).toISOString(), problems: reload.problems },
  };
}

/** Which adapters cannot serve, and why, whether or not the hub needs them to be ready; left out where all can. */
function describeUnready(hub: HubView): Described | undefined {
  const unready = hub.adapters().flatMap((adapter): [string, string][] => {
    const reason = unreadyReason(adapter);
    return reason === undefined ? [] : [[adapter.entry.name, reason]];
  });
  return unready.length === 0 ? undefined : Object.fromEntries(unready);
}

/** How the process before this one ended, and what it took with it at most. */
function describeLedger(hub: HubView): Described | undefined {
  const ledger = hub.ledger();
  if (ledger === undefined) return undefined;
  const { path, problem, before } = ledger;
  const times = before && {
    started: new Date(before.startedMs).toISOString(),
    written: new Date(before.writtenMs).toISOString(),
  };
  return { path, problem, before: before && { end: before.end, ...times, lost: before.lost } };
}

/** Of listeners with certificates or tokens: when they expire, and what is wrong with their files. */
function describeCredentials(hub: HubView, nowMs: number): Described | undefined {
  const states = hub
    .credentials()
    .filter(({ problems, notAfterMs }) => problems.length > 0 || notAfterMs !== undefined);
  if (states.length === 0) return undefined;
  return Object.fromEntries(
    states.map(({ listener, problems, notAfterMs }) => [
      listener,
      {
        not_after: notAfterMs === undefined ? undefined : new Date(notAfterMs).toISOString(),
        days_left: notAfterMs === undefined ? undefined : Math.floor((notAfterMs - nowMs) / 86_400_000),
        problems,
      },
    ]),
  );
}

/** Why the hub should get no traffic now; empty when it should. A set that was refused at a reload is no reason: the one before serves. */
export function whyNotReady(hub: HubView): string[] {
  const reasons: string[] = [];
  if (hub.draining()) reasons.push("the hub is stopping");
  if (hub.loaded() === undefined) reasons.push("no policies are loaded yet");
  for (const adapter of hub.adapters()) {
    const reason = adapter.entry.required ? unreadyReason(adapter) : undefined;
    if (reason !== undefined) reasons.push(`adapter ${adapter.entry.name}: ${reason}`);
  }
  return reasons;
}

export function describeAdapter(view: AdapterView): Described {
  const { name, adapter, config, required } = view.entry;
  const reason = unreadyReason(view);
  return {
    name,
    adapter: adapter.name,
    provides: adapter.provides,
    required,
    ready: reason === undefined,
    reason,
    config: maskConfig(config),
  };
}

/** Why an adapter cannot serve, as it says or as what it was last offered tells; `undefined` when it can, as far as is known. */
export function unreadyReason({
  instance,
  undelivered,
}: Pick<AdapterView, "instance" | "undelivered">): string | undefined {
  try {
    const reason: unknown = instance.unready?.();
    if (reason === undefined) return undelivered;
    if (typeof reason === "string") return reason;
    return `it cannot say whether it is ready: unready answers ${typeof reason === "object" ? "an object" : typeof reason}`;
  } catch (error) {
    return `it cannot say whether it is ready: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Each policy with its rules, one after the other, so that ten thousand rules need not be one text. */
export function* describePolicies({ policies, checks, reports }: LoadedPolicies): Generator<Described> {
  const rulesOf = new Map<Policy, { check: CheckRule[]; report: ReportRule[] }>();
  for (const policy of policies) rulesOf.set(policy, { check: [], report: [] });
  for (const rule of checks) rulesOf.get(rule.policy)?.check.push(rule);
  for (const rule of reports) rulesOf.get(rule.policy)?.report.push(rule);
  for (const [{ name, place, mode, namespace, match, reportMatch }, { check, report }] of rulesOf) {
    yield {
      name,
      place: placeText(place),
      mode,
      namespace,
      match: (match ?? reportMatch)?.source,
      check: check.map(describeRule),
      report: report.map(describeRule),
    };
  }
}

function describeRule(rule: CheckRule | ReportRule): Described {
  return {
    id: rule.id,
    kind: rule.kind,
    place: placeText(rule.place),
    when: rule.when?.source,
    unless: rule.unless?.source,
    ...describeKind(rule),
  };
}

function describeKind(rule: CheckRule | ReportRule): Described {
  switch (rule.kind) {
    case "deny":
      return { code: rule.code, message: rule.message, cache_ms: rule.cacheMs };
    case "ask":
      return { ask: rule.ask, with: sources(rule.with), on_error: rule.onError, cache_ms: rule.cacheMs };
    case "limit": {
      const { algorithm, amount, windowMs, burst, calendar, consistency } = rule.limit;
      return {
        limit: { algorithm, amount, window_ms: windowMs, burst, calendar, consistency },
        overrides: rule.overrides?.map(({ when, limit }) => ({
          when: when.source,
          amount: limit.amount,
          window_ms: limit.windowMs,
          burst: limit.burst,
          calendar: limit.calendar,
        })),
        table: rule.table && { from: rule.table.from, key: rule.table.key.source },
        by: sources(rule.by),
        cost: rule.cost?.source,
        via: rule.via,
        at: rule.at,
        on_error: rule.onError,
      };
    }
    case "headers":
      return { request: rule.request.map(describeEdit), response: rule.response.map(describeEdit) };
    case "metric":
      return {
        metric: rule.metric,
        type: rule.type,
        value: rule.value?.source,
        buckets: rule.buckets,
        labels: sources(rule.labels),
        to: rule.to,
      };
    case "log":
      return { log: rule.log, fields: sources(rule.fields), to: rule.to };
    case "span":
      return {
        span: rule.span,
        operation: rule.operation?.source,
        ids: rule.ids,
        attributes: sources(rule.attributes),
        sampling: rule.sampling,
        to: rule.to,
      };
  }
}

function describeEdit(edit: HeaderEdit): Described {
  const value = edit.operation === "remove" ? undefined : edit.value.source;
  return { operation: edit.operation, name: edit.name, value };
}

function sources(named: readonly { readonly name: string; readonly value: { readonly source: string } }[]): Described {
  return Object.fromEntries(named.map(({ name, value }) => [name, value.source]));
}

function placeText({ file, line, column }: Policy["place"]): string {
  return `${file}:${line}:${column}`;
}
