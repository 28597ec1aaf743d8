import type { Bag } from "../attributes/bag.ts";
import type { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import type { Ip } from "../attributes/ip.ts";
import { formatValue } from "../attributes/text.ts";
import type { Timestamp } from "../attributes/timestamp.ts";
import type { Value } from "../attributes/value.ts";
import type { Input } from "../policy/snapshot.ts";
import type { InputType } from "../sdk/index.ts";

/** That an input which the adapter needs has no value: its name, and why. */
export class MissingInput {
  readonly name: string;
  readonly kind: "absence" | "fault";

  constructor(name: string, kind: MissingInput["kind"]) {
    this.name = name;
    this.kind = kind;
  }
}

/** Evaluates what is handed to an adapter, as the SDK's types have it. An optional input that is absent is left out. */
export function askInput(inputs: readonly Input[], optional: ReadonlySet<string>, bag: Bag): object | MissingInput {
  const input: Record<string, unknown> = {};
  for (const { name, type, value } of inputs) {
    const held = value.evaluate(bag);
    if (held instanceof Fault) return new MissingInput(name, "fault");
    if (held !== undefined) input[name] = converted(type, held as Value);
    else if (!optional.has(name)) return new MissingInput(name, "absence");
  }
  return input;
}

function converted(type: InputType, value: Value): unknown {
  switch (type) {
    case "any":
      return formatValue(value);
    case "int64":
    case "double":
      return Number(value);
    case "timestamp":
      return new Date((value as Timestamp).ms);
    case "duration":
      return (value as Duration).ms;
    case "ip":
      return (value as Ip).toString();
    default:
      return value;
  }
}
