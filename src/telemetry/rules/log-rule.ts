import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { LogRule } from "../../policy/snapshot.ts";
import type { JsonValue, LogEntry } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import { Condition } from "./condition.ts";
import { shownValue } from "./shown-value.ts";
import type { EntrySink } from "../buffer/record-buffer.ts";

/** A log rule and where its entries go. */
export interface PreparedLog {
  readonly condition: Condition;
  readonly sink: EntrySink<LogEntry>;
  /** Evaluates the fields, at once: the bag will be filled with another record. Never throws. */
  entry(bag: Bag, nowMs: number): LogEntry;
}

type Severity = LogEntry["severity"];

/** By the texts, in lower case, that say them. */
const severities: ReadonlyMap<string, Severity> = new Map([
  ["debug", "debug"],
  ["info", "info"],
  ["informational", "info"],
  ["notice", "info"],
  ["warn", "warning"],
  ["warning", "warning"],
  ["err", "error"],
  ["error", "error"],
  ["fatal", "error"],
]);

/** Prepares a log rule. Fields that are absent or fail are left out; a severity that is or does, or is none, is `info`. */
export function prepareLog(rule: LogRule, sink: EntrySink<LogEntry>, observer: Observer): PreparedLog {
  const severityOf = (bag: Bag): Severity => {
    if (typeof rule.severity === "string") return rule.severity;
    const value = rule.severity.evaluate(bag);
    const severity = typeof value === "string" ? severities.get(value.toLowerCase()) : undefined;
    if (severity !== undefined) return severity;
    observer.ruleFault(rule.id, "severity", value === undefined ? "absence" : "fault");
    return "info";
  };
  return {
    condition: new Condition([rule], observer),
    sink,
    entry(bag, timeMs) {
      const fields: Record<string, JsonValue> = {};
      for (const { name, value, masked } of rule.fields) {
        const found = value.evaluate(bag);
        if (found === undefined) continue;
        if (found instanceof Fault) observer.ruleFault(rule.id, "field", "fault");
        else {
          const shown = shownValue(found, masked === true, rule.reveal);
          if (name === "__proto__") Object.defineProperty(fields, name, { value: shown, enumerable: true });
          else fields[name] = shown;
        }
      }
      return { name: rule.log, timeMs, severity: severityOf(bag), fields };
    },
  };
}
