import type { Bag } from "../../attributes/bag.ts";
import type { Decision } from "../../runtime/decision.ts";
import { refusalCodes } from "../../sdk/index.ts";
import type { LogEntry, MetricKind, Span } from "../../sdk/index.ts";
import type { RecordOutcome } from "../../telemetry/outcome.ts";

/** All that could be seen of one check or report. */
export interface Outcome {
  readonly decision?: Decision;
  /** What the descriptors of a request to a rate limit door were; left out: the request itself. */
  readonly bags?: readonly Bag[];
  readonly record?: RecordOutcome;
  readonly samples: readonly Sample[];
  readonly entries: readonly LogEntry[];
  readonly spans: readonly Span[];
  readonly faults: readonly RuleFault[];
  readonly dropped: readonly Drop[];
  /** Adapters that were asked, that tests do not reach, and whose answer the test does not say. */
  readonly unanswered: readonly string[];
}

/** One value for one metric. */
export interface Sample {
  readonly metric: string;
  readonly kind: MetricKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Something in a rule that could not be evaluated. */
export interface RuleFault {
  readonly rule: string;
  readonly part: string;
  readonly kind: "absence" | "fault";
}

/** Something that was left out or thrown away. */
export interface Drop {
  readonly what: string;
  readonly reason: string;
  readonly count: number;
}

const codeNames = new Map<number, string>(Object.entries(refusalCodes).map(([name, code]) => [code, name]));

/** The name of a gRPC status code. */
export function codeName(code: number): string {
  return code === 0 ? "ok" : (codeNames.get(code) ?? `code ${code}`);
}

/** Whether `policy/rule` is the rule that a test names, with or without its policy. */
export function isRule(id: string, name: string): boolean {
  return id === name || (!name.includes("/") && id.slice(id.indexOf("/") + 1) === name);
}
