import type { Layout } from "../../../attributes/layout.ts";
import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import type { Value } from "../../../attributes/value.ts";
import type { Json, JsonObject } from "../../protobuf/struct.ts";

/** The beginning of the names of a workload's attributes. */
export type Side = "source" | "destination";

/**
 * What is known of a workload, from the metadata of a proxy: the values of attributes by the part of their name behind
 * the side.
 */
export class Workload {
  readonly #values: ReadonlyMap<string, Value>;
  /** As attributes of each side: the slots of the layout that was asked for last, with their values. */
  #source: Filled | undefined;
  #destination: Filled | undefined;

  constructor(values: ReadonlyMap<string, Value>) {
    this.#values = values;
  }

  /** Puts what is known into a bag, as attributes of one side. */
  fill(bag: Bag, side: Side): void {
    const known = side === "source" ? this.#source : this.#destination;
    const { slots } = known?.layout === bag.layout ? known : this.#fillFor(bag.layout, side);
    for (let i = 0; i < slots.length; i++) bag.set(slots[i]!.slot, slots[i]!.value);
  }

  #fillFor(layout: Layout, side: Side): Filled {
    const filled = { layout, slots: slotValues(layout, side, this.#values) };
    if (side === "source") this.#source = filled;
    else this.#destination = filled;
    return filled;
  }
}

/** A workload of which nothing is known. */
export const unknownWorkload = new Workload(new Map());

interface Filled {
  readonly layout: Layout;
  readonly slots: readonly SlotValue[];
}

interface SlotValue {
  readonly slot: number;
  readonly value: Value;
}

function slotValues(layout: Layout, side: Side, values: ReadonlyMap<string, Value>): SlotValue[] {
  const found: SlotValue[] = [];
  for (const [name, value] of values) {
    const slot = layout.find(`${side}.${name}`);
    if (slot === undefined) continue;
    if (!(value instanceof Map)) {
      found.push({ slot, value });
      continue;
    }
    found.push({ slot, value: layout.isWhole(slot) ? value : emptyMap });
    for (const [key, keySlot] of layout.keysOf(`${side}.${name}`) ?? []) {
      const held = (value as ReadonlyMap<string, string>).get(key);
      if (held !== undefined) found.push({ slot: keySlot, value: held });
    }
  }
  return found;
}

/**
 * Reads a workload from Istio's metadata in either of its forms: that of a node (`WORKLOAD_NAME`, `NAMESPACE`, `LABELS`
 * ...) and of older filter state, and that of the filter state `downstream_peer` and `upstream_peer` of newer proxies
 * (`workload`, `namespace`, `app` ...).
 */
export function workloadOf(metadata: JsonObject): Workload {
  const text = (...names: readonly string[]): string => {
    for (const name of names) {
      const value = metadata.get(name);
      if (typeof value === "string" && value !== "") return value;
    }
    return "";
  };
  const values = new Map<string, Value>();
  const put = (name: string, value: string): void => {
    if (value !== "") values.set(name, value);
  };
  const pod = text("NAME", "name");
  const namespace = text("NAMESPACE", "namespace");
  const workload = text("WORKLOAD_NAME", "workload");
  const labels = textMap(metadata.get("LABELS") ?? metadata.get("labels"));
  const label = (key: string, value: string): void => {
    if (value !== "" && !labels.has(key)) labels.set(key, value);
  };
  label("app", text("app"));
  label("version", text("version"));
  label("service.istio.io/canonical-name", text("service"));
  label("service.istio.io/canonical-revision", text("revision"));

  put("name", pod);
  put("namespace", namespace);
  if (pod !== "" && namespace !== "") put("uid", `kubernetes://${pod}.${namespace}`);
  put("owner", text("OWNER"));
  put("serviceAccount", text("SERVICE_ACCOUNT"));
  put("workload.name", workload);
  put("workload.namespace", workload === "" ? "" : namespace);
  if (workload !== "" && namespace !== "") put("workload.uid", `istio://${namespace}/workloads/${workload}`);
  if (labels.size > 0) values.set("labels", labels);
  return new Workload(values);
}

/** The fields of a structure that are text. */
function textMap(value: Json | undefined): Map<string, string> {
  const texts = new Map<string, string>();
  if (value instanceof Map)
    for (const [key, held] of value as JsonObject) if (typeof held === "string") texts.set(key, held);
  return texts;
}
