import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { HeaderEdit, HeadersRule } from "../policy/snapshot.ts";
import type { Observer } from "../util/observer.ts";
import type { HeaderOperation } from "./decision.ts";

/** Characters that a field value must not hold (RFC 9110, 5.5): control characters other than the tab. */
// oxlint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/**
 * Evaluates the edits of a rule and adds them to `operations`, which are in the order of (policy, rule). A `set` or
 * `remove` of a name makes what was to become of it before void.
 *
 * A value that fails, or that would break out of its header, removes the header: the caller's own must not pass for
 * ours.
 */
export function addOperations(
  operations: HeaderOperation[],
  rule: HeadersRule,
  edits: readonly HeaderEdit[],
  bag: Bag,
  observer: Observer,
): void {
  for (const edit of edits) {
    const operation = evaluated(edit, rule, bag, observer);
    if (operation.operation !== "append") {
      for (let i = operations.length - 1; i >= 0; i--) if (operations[i]!.name === edit.name) operations.splice(i, 1);
    }
    operations.push(operation);
  }
}

function evaluated(edit: HeaderEdit, rule: HeadersRule, bag: Bag, observer: Observer): HeaderOperation {
  const { name, operation } = edit;
  if (operation === "remove") return { operation, name, value: "" };
  const value = edit.value.evaluate(bag);
  if (typeof value === "string") {
    if (!forbidden.test(value)) return { operation, name, value };
    observer.dropped("header", "bad_value", 1);
  } else {
    observer.ruleFault(rule.id, "headers", value instanceof Fault ? "fault" : "absence");
  }
  return { operation: "remove", name, value: "" };
}
