import type { Phase } from "../../attributes/vocabulary.ts";
import type { Adapter, InputType } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import type { NamedValue } from "../shape/collections.ts";
import type { ExpressionText } from "../shape/scalars.ts";
import type { Reading } from "../shape/shape.ts";
import type { Input } from "../snapshot.ts";
import { inputOf, type RuleExpressions } from "./rule-expressions.ts";

/** What is handed to an adapter, as it is written. */
interface WrittenInputs {
  readonly phase: Phase;
  /** Left out where it has a problem of its own: then expressions are held only against themselves. */
  readonly adapter: Adapter | undefined;
  /** Its name in weir.yaml. */
  readonly name: string;
  readonly inputs: readonly NamedValue<ExpressionText>[];
  /** Where an input that is missing is told. */
  readonly node: { readonly start: number; readonly end: number };
}

/** The expressions under `with:`, held against what the adapter declares. */
export function compileInputs(
  { reading, expressions }: { readonly reading: Reading; readonly expressions: RuleExpressions },
  { phase, adapter, name: adapterName, inputs: written, node }: WrittenInputs,
): readonly Input[] {
  const declared = new Map<string, { readonly type: InputType; readonly optional: boolean }>();
  for (const [name, type] of Object.entries(adapter?.input ?? {})) {
    const optional = name.endsWith("?");
    declared.set(optional ? name.slice(0, -1) : name, { type, optional });
  }
  const inputs: Input[] = [];
  for (const { name, key, value } of written) {
    const input = declared.get(name);
    if (input === undefined && adapter !== undefined) {
      const near = nearest(name, declared.keys());
      const known = declared.size === 0 ? "it takes no inputs" : `its inputs are ${[...declared.keys()].join(", ")}`;
      const hint = near === undefined ? known : `did you mean "${near}"?`;
      const message = `the adapter "${adapterName}" has no input "${name.slice(0, 100)}"`;
      reading.tell(key, { code: "WEIR_POLICY_UNKNOWN_KEY", message, hint });
    }
    const type = input?.type ?? "any";
    const expression = expressions.compile(reading, value, phase, inputOf(type));
    if (expression !== undefined) inputs.push({ name, type, value: expression });
  }
  for (const [name, { type, optional }] of declared) {
    if (optional || written.some((entry) => entry.name === name)) continue;
    const message = `the adapter "${adapterName}" needs the input "${name}", of the type ${type}`;
    reading.tell(node, { code: "WEIR_POLICY_SHAPE", message, hint: `with: { ${name}: ... }` });
  }
  return inputs;
}
