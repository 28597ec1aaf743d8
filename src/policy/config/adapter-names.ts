import type { Capability } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import type { Reading } from "../shape/shape.ts";
import type { AdapterEntry } from "../snapshot.ts";

/** Adapters by name; `undefined` for one that weir.yaml names and that has a problem of its own. */
export type AdapterNames = ReadonlyMap<string, AdapterEntry | undefined>;

const cannot: Readonly<Record<Capability, string>> = {
  check: "cannot check requests",
  quota: "cannot count limits",
  holds: "cannot hold what a decision took",
  attributes: "makes no attributes",
  metrics: "takes no metrics",
  logs: "takes no logs",
  spans: "takes no spans",
  table: "has no table of limits",
  journal: "keeps no records",
};

/** The adapter that a rule names, or `undefined` when there is none that can do what the rule needs, which is told. */
export function findAdapter(
  adapters: AdapterNames,
  reading: Reading,
  node: { readonly start: number; readonly end: number },
  name: string,
  capability: Capability,
): AdapterEntry | undefined {
  const entry = adapters.get(name);
  const able = () =>
    [...adapters.values()].filter((each) => each?.adapter.provides.includes(capability)).map((each) => each!.name);
  if (entry === undefined) {
    if (adapters.has(name)) return undefined;
    const near = nearest(name, adapters.keys());
    const others = able().slice(0, 10).join(", ");
    const hint =
      near !== undefined
        ? `did you mean "${near}"?`
        : `name it under adapters: in weir.yaml${others === "" ? "" : `; the ones that could do this are ${others}`}`;
    const message = `no adapter is called "${name.slice(0, 100)}"`;
    return reading.tell(node, { code: "WEIR_POLICY_UNKNOWN_ADAPTER", message, hint });
  }
  if (entry.adapter.provides.includes(capability)) return entry;
  const others = able().slice(0, 10).join(", ");
  return reading.tell(node, {
    code: "WEIR_POLICY_CAPABILITY",
    message: `the adapter "${name}" ${cannot[capability]}`,
    hint: others === "" ? "no adapter of weir.yaml can do this" : `the ones that can are ${others}`,
  });
}
