import type { Asked } from "../../runtime/decision.ts";
import type { HoldAsked } from "../../runtime/limits/holds.ts";
import type { JsonValue, RefusalCode, SpanKind } from "../../sdk/index.ts";
import type { Located, Reading } from "../../policy/shape/shape.ts";
import type { Place } from "../../policy/snapshot.ts";
import type { Node } from "../../policy/yaml/node.ts";

/** One `*.test.yaml` file, read and of the right shape. Attribute names and values are not checked yet. */
export interface TestFile {
  readonly reading: Reading;
  /** The policy files and folders under test as written; left out: the folder of the test file. */
  readonly policies?: readonly Located<string>[];
  /** The `weir.yaml` as written; left out: the nearest one upward. */
  readonly config?: Located<string>;
  /** Where the clock of each case starts, milliseconds since 1970. */
  readonly startMs: number;
  readonly fixtures: ReadonlyMap<string, Given>;
  readonly answers: Answers;
  readonly cases: readonly TestCase[];
}

/** Attributes as written: those of the fixtures it uses, in order, then its own. */
export interface Given {
  readonly use: readonly Located<string>[];
  readonly attributes: readonly GivenAttribute[];
  /** Attributes that come with a value of another type than their own. */
  readonly wrongType: readonly Located<string>[];
}

export interface GivenAttribute {
  readonly name: string;
  readonly key: Node;
  /** `null`: absent, also when a fixture has it. */
  readonly value: Located<JsonValue>;
}

/** What adapters answer instead of doing their work, by the adapter's name. */
export type Answers = ReadonlyMap<string, Located<AdapterAnswer>>;

export interface AdapterAnswer {
  /** The first whose input is that of the call answers. */
  readonly for: readonly { readonly input: { readonly [name: string]: JsonValue }; readonly answer: Answer }[];
  /** Answers all other calls. Left out: the adapter itself, where tests reach it. */
  readonly answer?: Answer;
}

export type Answer =
  | { readonly kind: "allow"; readonly validForMs?: number }
  | { readonly kind: "deny"; readonly code: RefusalCode; readonly message?: string; readonly validForMs?: number }
  /** The call throws. */
  | { readonly kind: "error" }
  /** The call outlasts its deadline. */
  | { readonly kind: "timeout" }
  /** The adapter itself answers, also one that calls out. */
  | { readonly kind: "real" };

export interface TestCase {
  readonly name: string;
  /** The name, as it is written. */
  readonly node: Node;
  readonly place: Place;
  readonly given: Given;
  readonly answers: Answers;
  readonly steps: readonly Step[];
}

/** One check, one report, one change of what a check took, or several alike. */
export interface Step {
  /** Where its expectation stands, else the step itself. */
  readonly place: Place;
  readonly kind: "check" | "ongoing" | "report" | HoldAsked["kind"];
  /** For a report and a change: the number of the check, from 1 on, whose decision it is about. */
  readonly of?: Located<number>;
  /** How far the clock moves before it. */
  readonly afterMs: number;
  readonly times: number;
  /** How far the clock moves between its repetitions. */
  readonly everyMs: number;
  /** Added to what the case gives. */
  readonly given: Given;
  readonly asked: StepAsked;
  readonly answers: Answers;
  readonly expect?: Expectation;
}

/** What a step asks beside its attributes. */
export interface StepAsked extends Asked {
  /** Which kind of door is asked. Default `check`. */
  readonly at?: "check" | "ratelimit";
  /** At a rate limit door, each beside what is given. Left out: one, which is what is given. */
  readonly descriptors?: readonly {
    readonly entries: ReadonlyMap<string, string>;
    readonly hits: number | undefined;
  }[];
}

/** What must hold of a step. What is left out may be anything. */
export interface Expectation {
  /** For a check: `allow`, or the code of the refusal. */
  readonly outcome?: "allow" | RefusalCode | undefined;
  /** The rule that names the status. */
  readonly by?: string | undefined;
  /** All rules that refused, in any order. */
  readonly rules?: readonly string[] | undefined;
  readonly observed?: readonly string[] | undefined;
  readonly message?: ExpectedText | undefined;
  readonly http?: {
    readonly status?: number | undefined;
    readonly body?: string | undefined;
    readonly headers?: ReadonlyMap<string, string> | undefined;
  };
  readonly headers?: { readonly request?: ExpectedEdits | undefined; readonly response?: ExpectedEdits } | undefined;
  readonly quotas?: ReadonlyMap<string, ExpectedQuota> | undefined;
  readonly limits?: ReadonlyMap<string, ExpectedLimit> | undefined;
  readonly validForMs?: number | undefined;
  readonly validUses?: number | undefined;
  /** What was read: `request.path`, `-request.path` when it was absent, `request.headers[x]` for a key. */
  readonly reads?: readonly string[] | undefined;
  /** For a report: whether it was taken. */
  readonly taken?: boolean | undefined;
  readonly metrics?: readonly ExpectedMetric[] | undefined;
  readonly logs?: readonly ExpectedLog[] | undefined;
  readonly spans?: readonly ExpectedSpan[] | undefined;
  /** What could not be evaluated, as the hub counts it. */
  readonly faults?: readonly ExpectedFault[] | undefined;
  /** What was left out or thrown away, as the hub counts it. */
  readonly dropped?: readonly ExpectedDrop[] | undefined;
}

/** A text, or a part of it. */
export type ExpectedText = string | { readonly contains: string };

/** All edits of one message's headers. */
export interface ExpectedEdits {
  readonly set?: ReadonlyMap<string, string> | undefined;
  readonly append?: ReadonlyMap<string, readonly string[]> | undefined;
  readonly remove?: readonly string[] | undefined;
}

export interface ExpectedQuota {
  readonly granted?: number | undefined;
  readonly code?: "ok" | RefusalCode | undefined;
  readonly message?: ExpectedText | undefined;
  readonly valid_for?: number | undefined;
  readonly reads?: readonly string[] | undefined;
}

export interface ExpectedLimit {
  readonly allowed?: boolean | undefined;
  readonly amount?: number | undefined;
  readonly window?: number | undefined;
  readonly remaining?: number | undefined;
  readonly reset?: number | undefined;
  readonly retry_after?: number | undefined;
  readonly degraded?: boolean | undefined;
}

export interface ExpectedMetric {
  readonly name: string;
  /** Some or all labels of the series. */
  readonly labels?: ReadonlyMap<string, string> | undefined;
  /** What was added to a counter, or the values that a gauge or histogram took. Left out: anything. */
  readonly value?: readonly number[] | undefined;
  /** No series of that name and those labels was touched. */
  readonly absent?: boolean | undefined;
}

/** What is left out may be anything. */
export interface ExpectedSpan {
  readonly name?: string | undefined;
  readonly kind?: SpanKind | undefined;
  readonly service?: string | undefined;
  readonly trace?: string | undefined;
  readonly id?: string | undefined;
  /** `null`: there is none. */
  readonly parent?: string | null | undefined;
  readonly duration?: number | undefined;
  readonly failed?: boolean | undefined;
  /** Some or all; `null`: the attribute is absent. */
  readonly attributes?: ReadonlyMap<string, JsonValue> | undefined;
  readonly absent?: boolean | undefined;
}

export interface ExpectedLog {
  readonly log: string;
  readonly severity?: string | undefined;
  /** Some or all fields of the entry; `null`: the field is absent. */
  readonly fields?: ReadonlyMap<string, JsonValue> | undefined;
  readonly absent?: boolean | undefined;
}

export interface ExpectedFault {
  readonly rule: string;
  readonly part?: string | undefined;
  readonly kind?: "absence" | "fault" | undefined;
}

export interface ExpectedDrop {
  readonly what: string;
  readonly reason?: string | undefined;
  readonly count?: number | undefined;
}
