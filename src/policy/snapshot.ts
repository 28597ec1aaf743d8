import type { Layout } from "../attributes/layout.ts";
import type { Timestamp } from "../attributes/timestamp.ts";
import type { TraceFormat } from "../attributes/trace-context.ts";
import type { Phase, Vocabulary } from "../attributes/vocabulary.ts";
import type { Value } from "../attributes/value.ts";
import type { Expression } from "../expression/expression.ts";
import type { Adapter, InputType, Limit, MetricKind, RefusalCode, SpanKind } from "../sdk/index.ts";
import type { Problem } from "./problem.ts";
import type { Settings } from "./config/settings.ts";

/** A place in a file. Line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Everything that was read from `weir.yaml` and the policy files, checked and ready to serve. Immutable. */
export interface Snapshot {
  /** A short hash over the content of all files: the same files give the same version. */
  readonly version: string;
  readonly settings: Settings;
  readonly vocabulary: Vocabulary;
  /** The slots of every attribute and map key that a rule of `check:` reads. */
  readonly layout: Layout;
  /** The same for the rules of `report:`. */
  readonly reportLayout: Layout;
  /** Sorted by name. */
  readonly policies: readonly Policy[];
  /** Rules of `check:`, sorted by (policy name, rule name). `ordinal` is the position here. */
  readonly checks: readonly CheckRule[];
  /** Rules of `report:`, in the same order. */
  readonly reports: readonly ReportRule[];
  /** The adapters that `weir.yaml` names, by that name, whether rules use them or not. */
  readonly adapters: ReadonlyMap<string, AdapterEntry>;
  /** What adapters are asked for about a request, as far as rules of that phase read what is made of it. */
  readonly produced: Readonly<Record<Phase, readonly Production[]>>;
}

/** One policy document. */
export interface Policy {
  readonly name: string;
  readonly place: Place;
  readonly mode: "enforce" | "observe";
  readonly namespace?: string;
  /** `namespace:` and `match:` in one: the rules of `check:` apply only where it is true. Left out: everywhere. */
  readonly match?: Expression<boolean>;
  /** The same for the rules of `report:`. */
  readonly reportMatch?: Expression<boolean>;
}

/** An entry under `adapters:` in `weir.yaml`. */
export interface AdapterEntry {
  readonly name: string;
  readonly adapter: Adapter;
  /** Validated, with defaults. */
  readonly config: unknown;
  /** Whether the hub is ready only while the adapter can serve. */
  readonly required: boolean;
  /** The same for the same adapter and configuration: an instance stays over a reload while it does not change. */
  readonly fingerprint: string;
  readonly place: Place;
  /** The line of `weir.yaml` at that place, as problems show it. Left out for an entry that no file names. */
  readonly line?: Pick<Problem, "text" | "textColumn">;
}

interface CheckRuleBase {
  /** `policy/rule`: how the rule is called everywhere. */
  readonly id: string;
  readonly ordinal: number;
  readonly name: string;
  readonly policy: Policy;
  readonly place: Place;
  readonly when?: Expression<boolean>;
  readonly unless?: Expression<boolean>;
  /** For the caller, instead of a message made from the rule. */
  readonly message?: string;
  /** Direct response of a refusal. */
  readonly http?: DirectResponse;
  /** How long the rule's outcome may be kept; left out: the default of `weir.yaml`. */
  readonly cacheMs?: number;
}

export type CheckRule = DenyRule | AskRule | LimitRule | HeadersRule;

/** Refuses where `when` holds and `unless` does not. */
export interface DenyRule extends CheckRuleBase {
  readonly kind: "deny";
  readonly code: RefusalCode;
}

/** Asks an adapter. */
export interface AskRule extends CheckRuleBase {
  readonly kind: "ask";
  /** The adapter's name in `weir.yaml`. */
  readonly ask: string;
  /** The adapter's declared inputs that the rule gives, already of the declared types. */
  readonly with: readonly Input[];
  readonly onError: "deny" | "allow";
}

/** What is handed to an adapter under a name, of the type that the adapter declares. */
export interface Input {
  readonly name: string;
  readonly type: InputType;
  readonly value: Expression;
}

/** What an adapter is asked for about a request, and the attributes that are made of its answer. */
export interface Production {
  /** Its name in `weir.yaml`. */
  readonly from: string;
  readonly with: readonly Input[];
  readonly attributes: readonly { readonly slot: number; readonly output: string }[];
}

/** Takes from a limit. */
export interface LimitRule extends CheckRuleBase {
  readonly kind: "limit";
  /** What the adapter gets. In a policy that observes, its id ends in `#observe`. */
  readonly limit: Limit;
  /** Where the limits of single keys are read: an adapter's name in `weir.yaml`, and by what a row is found. */
  readonly table?: { readonly from: string; readonly key: Expression };
  /** Other amounts, the first whose `when` holds; the algorithm is the same. Left out: none. */
  readonly overrides?: readonly LimitOverride[];
  /** The adapter's name in `weir.yaml`. */
  readonly via: string;
  /** Whose count: each value becomes a part of the key, in this order. Empty: one count for all. */
  readonly by: readonly { readonly name: string; readonly value: Expression }[];
  /** Units a request costs when it does not say an amount itself; left out: 1. */
  readonly cost?: Expression<number | bigint>;
  /** For how long what a decision took is held under its id, in milliseconds: the lease of `concurrency`. Left out: not at all. */
  readonly holdMs?: number;
  /** Units that the request has used, over the attributes of its report. Left out: what was taken. */
  readonly settle?: Expression<number | bigint>;
  readonly at: "check" | "ratelimit";
  /** `local`: count in this process's memory while the adapter fails. */
  readonly onError: "deny" | "allow" | "local";
  /** For a level of another limit: that limit. What both count lies together in a store of several nodes. */
  readonly top?: LimitRule;
  /** For `local`: the part of the limit that each hub counts by, above 0 and at most 1. Left out: one over the hubs last seen. */
  readonly share?: number;
}

export interface LimitOverride {
  readonly when: Expression<boolean>;
  /** What the adapter gets in place of the rule's own limit; its id is the same. */
  readonly limit: Limit;
}

export type HeaderEdit =
  | { readonly operation: "set" | "append"; readonly name: string; readonly value: Expression<string> }
  | { readonly operation: "remove"; readonly name: string };

/** Changes headers of requests and responses that pass. */
export interface HeadersRule extends CheckRuleBase {
  readonly kind: "headers";
  readonly request: readonly HeaderEdit[];
  readonly response: readonly HeaderEdit[];
  /** Changes of query parameters, by name as it is written; none of them appends. */
  readonly query?: readonly HeaderEdit[];
}

/** The answer that a proxy gives by itself instead of passing the request on. */
export interface DirectResponse {
  /** HTTP status, 100 to 599; left out: the one of the rule's code. */
  readonly status?: number;
  readonly body?: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export type ReportRule = MetricRule | LogRule | SpanRule;

interface ReportRuleBase {
  readonly id: string;
  readonly name: string;
  readonly policy: Policy;
  readonly place: Place;
  readonly when?: Expression<boolean>;
  readonly unless?: Expression<boolean>;
  /** The adapter's name in `weir.yaml`. */
  readonly to: string;
}

export interface MetricRule extends ReportRuleBase {
  readonly kind: "metric";
  readonly metric: string;
  readonly type: MetricKind;
  readonly help: string;
  /** Left out for a counter: 1. Durations count in seconds unless `unit` says otherwise. */
  readonly value?: Expression<Value>;
  /** How a duration becomes a number. */
  readonly unit: "s" | "ms";
  readonly buckets?: readonly number[];
  readonly labels: readonly { readonly name: string; readonly value: Expression }[];
  /** Set for a counter that grows while requests are under way, by what is new of its value. */
  readonly ongoing?: true;
}

export interface LogRule extends ReportRuleBase {
  readonly kind: "log";
  readonly log: string;
  readonly severity: "debug" | "info" | "warning" | "error" | Expression<string>;
  readonly fields: readonly ShownField[];
  /** Names, in lower case, of keys of maps that are shown though they look like secrets. */
  readonly reveal: ReadonlySet<string>;
}

/** What a log or a span shows of a request. */
export interface ShownField {
  readonly name: string;
  readonly value: Expression;
  /** Set where the value may hold a secret, so that it is masked as a whole. */
  readonly masked?: true;
}

/** Makes a span of each request. Keys that were left out are made by telemetry, of the facts that `span-facts.ts` lists. */
export interface SpanRule extends ReportRuleBase {
  readonly kind: "span";
  /** The name of spans that nothing else names. */
  readonly span: string;
  /** Whether the headers hold the caller's span, or one that the proxies made for the request and both sides share. */
  readonly ids: "new" | "shared";
  /** In the order in which they count. */
  readonly formats: readonly TraceFormat[];
  /** Whether a request without a trace context begins a trace. */
  readonly root: boolean;
  readonly operation?: Expression<string>;
  readonly spanKind?: SpanKind | Expression<string>;
  readonly trace?: Expression<string>;
  readonly spanId?: Expression<string>;
  readonly parent?: Expression<string>;
  readonly start?: Expression<Timestamp>;
  readonly end?: Expression<Timestamp>;
  readonly failed?: Expression<boolean>;
  readonly service?: Expression<string>;
  readonly attributes: readonly ShownField[];
  /** As of logs. */
  readonly reveal: ReadonlySet<string>;
  readonly sampling: {
    /** The share of traces that is kept, 0 to 1. */
    readonly ratio: number;
    /** Whether a caller that has decided is followed. */
    readonly follow: boolean;
    readonly perSecond?: number | undefined;
  };
}
