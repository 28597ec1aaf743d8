import type { Bag } from "../attributes/bag.ts";
import { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import { Ip } from "../attributes/ip.ts";
import type { Layout, Slot } from "../attributes/layout.ts";
import { setMap } from "../attributes/set-map.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import type { AttributeType, StringMap, Value } from "../attributes/value.ts";
import type { Production } from "../policy/snapshot.ts";
import type { Instance, Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import { seldom } from "../util/seldom.ts";
import { askInput, MissingInput } from "./ask-input.ts";

export interface ProducerOptions {
  readonly instanceOf: (adapter: string) => Instance;
  /** The inputs of an adapter that may be left out. */
  readonly optionalInputs: (adapter: string) => ReadonlySet<string>;
  readonly observer: Observer;
  readonly log: Log;
  readonly now: () => number;
}

const nothing: Readonly<Record<string, unknown>> = {};

/**
 * What makes the attributes of a bag that adapters know, where the request does not bring them; `undefined` where no rule
 * reads such. An adapter that needs what is not there is not asked, and what is made of its answer is absent; an input that
 * is a fault, an adapter that throws and a value of another type make it a fault.
 *
 * Who reads such an attribute has read what the adapter was asked with: a caller that does not have it can tell by that
 * whether an answer is for its request.
 */
export function producerOf(
  productions: readonly Production[],
  layout: Layout,
  options: ProducerOptions,
): ((bag: Bag) => void) | undefined {
  if (productions.length === 0) return undefined;
  const told = seldom(options.now);
  const steps = productions.map((production) => stepOf(production, layout, told, options));
  return (bag) => {
    const before = bag.reads();
    for (const step of steps) step(bag);
    bag.restoreReads(before);
  };
}

function stepOf(
  { from, with: inputs, attributes }: Production,
  layout: Layout,
  told: (what: string) => number | undefined,
  { instanceOf, optionalInputs, observer, log }: ProducerOptions,
): (bag: Bag) => void {
  const instance = instanceOf(from);
  const optional = optionalInputs(from);
  const targets = attributes.map(({ slot, output }) => ({ output, slot: layout.slots[slot]! }));

  const fault = (error: unknown): Fault => {
    observer.adapterCall(from, "attributes", "fault", 0);
    if (told(from) !== undefined)
      log.warn({ adapter: from, err: error }, "the adapter failed to say what it knows of a request");
    return new Fault(`the adapter "${from}" failed to say what it knows of the request`);
  };
  const ask = (bag: Bag): Readonly<Record<string, unknown>> | Fault => {
    const input = askInput(inputs, optional, bag);
    if (input instanceof MissingInput)
      return input.kind === "absence" ? nothing : new Fault(`what "${from}" is asked with could not be evaluated`);
    try {
      const answer: unknown = instance.attributes!(input as never);
      if (answer === undefined) return nothing;
      if (typeof answer === "object" && answer !== null && !(answer instanceof Promise))
        return answer as Readonly<Record<string, unknown>>;
      return fault(new TypeError("it answers with an object of its outputs, at once"));
    } catch (error) {
      return fault(error);
    }
  };
  return (bag) => {
    if (targets.every(({ slot }) => bag.isGiven(slot.index))) return;
    const answer = ask(bag);
    for (const { slot, output } of targets) {
      if (bag.isGiven(slot.index)) continue;
      let value: Value | Fault | undefined;
      if (answer instanceof Fault) value = answer;
      else {
        try {
          const given = answer[output];
          value = given === undefined ? undefined : valueOf(slot.type, given);
          if (given !== undefined && value === undefined)
            value = fault(new TypeError(`its output "${output}" is not of its type`));
        } catch (error) {
          value = fault(error);
        }
      }
      put(bag, slot, value);
      bag.markDerived(slot.index);
    }
  };
}

function put(bag: Bag, { index, name, type }: Slot, value: Value | Fault | undefined): void {
  if (type === "string_map" && value !== undefined && !(value instanceof Fault))
    return setMap(bag, name, value as StringMap);
  bag.set(index, value);
  for (const key of bag.layout.keysOf(name)?.values() ?? []) bag.set(key, value);
}

/** What an adapter gave, as a value of an attribute; `undefined` where it is none. */
function valueOf(type: AttributeType, given: unknown): Value | undefined {
  switch (type) {
    case "string":
    case "email":
    case "uri":
    case "dns_name":
      return typeof given === "string" ? given : undefined;
    case "ip":
      return typeof given === "string" ? Ip.parse(given) : undefined;
    case "int64":
      return Number.isSafeInteger(given) ? (given as number) : undefined;
    case "double":
      return typeof given === "number" ? given : undefined;
    case "bool":
      return typeof given === "boolean" ? given : undefined;
    case "timestamp":
      return given instanceof Date && !Number.isNaN(given.getTime()) ? Timestamp.fromMs(given.getTime()) : undefined;
    case "duration":
      return typeof given === "number" && Number.isFinite(given) ? Duration.fromMs(given) : undefined;
    case "bytes":
      return given instanceof Uint8Array ? given : undefined;
    case "string_map":
      return isTextMap(given) ? given : undefined;
  }
}

function isTextMap(given: unknown): given is ReadonlyMap<string, string> {
  if (!(given instanceof Map)) return false;
  for (const [key, value] of given as ReadonlyMap<unknown, unknown>)
    if (typeof key !== "string" || typeof value !== "string") return false;
  return true;
}
