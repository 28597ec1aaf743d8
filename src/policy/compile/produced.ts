import { Layout } from "../../attributes/layout.ts";
import type { AttributeType } from "../../attributes/value.ts";
import type { Phase } from "../../attributes/vocabulary.ts";
import type { OutputType } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import { findAdapter, type AdapterNames } from "../config/adapter-names.ts";
import type { WrittenProduction } from "../config/config.ts";
import type { Input, Production } from "../snapshot.ts";
import { keyNode } from "../yaml/node.ts";
import { compileInputs } from "./inputs.ts";
import { RuleExpressions, type ExpressionLimits } from "./rule-expressions.ts";

/** An attribute that an adapter makes, held against what the adapter declares. */
interface Made extends WrittenProduction {
  readonly from: string;
  readonly output: string;
  /** The expressions of its inputs, by which those that ask for the same are known. */
  readonly asked: string;
}

/** The attributes of weir.yaml that adapters make. Those with a problem, which is told, are left out. */
export class ProducedAttributes {
  readonly #made: readonly Made[];
  readonly #adapters: AdapterNames;

  constructor(
    written: readonly WrittenProduction[],
    adapters: AdapterNames,
    vocabulary: RuleExpressions["vocabulary"],
    limits: ExpressionLimits,
  ) {
    this.#adapters = adapters;
    const names = new Set(written.map(({ name }) => name));
    // What no rule reads must have no slots: expressions are tried over layouts of their own.
    const expressions = new RuleExpressions(vocabulary, { check: new Layout(), report: new Layout() }, limits);
    this.#made = written.flatMap((each) => this.#hold(each, names, expressions) ?? []);
  }

  /**
   * Lays out what the attributes are made of that rules of a phase read: after all of those are compiled. Attributes of
   * one adapter that are asked for alike come of one call.
   */
  productions(phase: Phase, expressions: RuleExpressions): readonly Production[] {
    const layout = expressions.layouts[phase];
    const productions = new Map<
      string,
      { from: string; with: readonly Input[]; attributes: Production["attributes"][number][] }
    >();
    for (const made of this.#made) {
      const slot = layout.find(made.name);
      if (slot === undefined) continue;
      const key = JSON.stringify([made.from, made.asked]);
      let production = productions.get(key);
      if (production === undefined) {
        production = { from: made.from, with: this.#inputs(made, phase, expressions), attributes: [] };
        productions.set(key, production);
      }
      production.attributes.push({ slot, output: made.output });
      layout.derive(slot, slotsOf(production.with, layout));
    }
    return [...productions.values()];
  }

  #hold(written: WrittenProduction, names: ReadonlySet<string>, expressions: RuleExpressions): Made | undefined {
    const { raw, reading } = written;
    if (raw.from === undefined) return undefined;
    const entry = findAdapter(this.#adapters, reading, raw.from.node, raw.from.value, "attributes");
    const inputs = this.#inputs(written, "check", expressions);
    for (const { name, value } of inputs) {
      const use = value.uses.find((each) => names.has(each.name));
      if (use === undefined) continue;
      const { node } = raw.with!.entries.find((each) => each.name === name)!.value;
      const message = `${use.name} is made by an adapter itself`;
      reading.tell(node, { code: "WEIR_POLICY_SHAPE", message, hint: "adapters are asked with what requests bring" });
    }
    const outputs = new Map(Object.entries(entry?.adapter.outputs ?? {}));
    if (entry === undefined) return undefined;
    const output = raw.output?.value ?? (outputs.size === 1 ? [...outputs.keys()][0]! : undefined);
    const known = `its outputs are ${[...outputs.keys()].join(", ")}`;
    if (output === undefined) {
      const message = `the adapter "${entry.name}" has ${outputs.size} outputs; output: says which is meant`;
      return reading.tell(raw.from.node, { code: "WEIR_POLICY_SHAPE", message, hint: known });
    }
    const type = outputs.get(output);
    if (type === undefined) {
      const near = nearest(output, outputs.keys());
      const message = `the adapter "${entry.name}" has no output "${output.slice(0, 100)}"`;
      const hint = near === undefined ? known : `did you mean "${near}"?`;
      return reading.tell(raw.output!.node, { code: "WEIR_POLICY_UNKNOWN_KEY", message, hint });
    }
    if (raw.type === undefined) return undefined;
    if (!canHold(raw.type.value, type)) {
      const message = `the output "${output}" of the adapter "${entry.name}" is of the type ${type}, got "${raw.type.value}"`;
      return reading.tell(raw.type.node, { code: "WEIR_POLICY_SHAPE", message, hint: `type: ${type}` });
    }
    const asked = (raw.with?.entries ?? []).map(({ name, value }) => [name, value.text]);
    return { ...written, from: entry.name, output, asked: JSON.stringify(asked.sort()) };
  }

  #inputs({ raw, reading }: WrittenProduction, phase: Phase, expressions: RuleExpressions): readonly Input[] {
    const from = raw.from!;
    return compileInputs(
      { reading, expressions },
      {
        ...{ phase, adapter: this.#adapters.get(from.value)?.adapter, name: from.value },
        ...{ inputs: raw.with?.entries ?? [], node: keyNode(raw.node, "with") ?? from.node },
      },
    );
  }
}

/** Texts of any kind are told as text. */
function canHold(attribute: AttributeType, output: OutputType): boolean {
  if (output === "string") return ["string", "email", "uri", "dns_name"].includes(attribute);
  return attribute === output;
}

/** Everything that inputs may read. */
function slotsOf(inputs: readonly Input[], layout: Layout): readonly number[] {
  const slots = new Set<number>();
  for (const { name, key } of inputs.flatMap(({ value }) => value.uses)) {
    const slot = key === undefined ? layout.find(name) : layout.keysOf(name)?.get(key);
    if (slot !== undefined) slots.add(slot);
  }
  return [...slots];
}
