import { strict as assert } from "node:assert";
import type { Adapter } from "../adapter.ts";
import type { Inputs, InputTypes } from "../input.ts";
import type { Outputs, OutputType, OutputTypes } from "../output.ts";
import type { ContractTest } from "./test-adapter.ts";

/** An input of `attributes`, and all that is to be known of it; nothing: `{}`. */
export interface AttributesCase<I extends Inputs = Inputs, O extends Outputs = Outputs> {
  readonly input: InputTypes<I>;
  readonly outputs: OutputTypes<O>;
}

const isOfType: Readonly<Record<OutputType, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  int64: (value) => Number.isSafeInteger(value),
  double: (value) => typeof value === "number",
  bool: (value) => typeof value === "boolean",
  timestamp: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  duration: (value) => Number.isFinite(value),
  ip: (value) => typeof value === "string",
  bytes: (value) => value instanceof Uint8Array,
  string_map: (value) => value instanceof Map && [...value].flat().every((text) => typeof text === "string"),
};

/** What `attributes` must keep to. */
export function attributesContract(
  { outputs: declared = {} }: { readonly outputs?: Adapter["outputs"] },
  cases: readonly AttributesCase[],
): ContractTest[] {
  return [
    {
      title: "knows of the given inputs what is expected, each time",
      run({ instance }) {
        assert.ok(cases.length > 0, "name at least one input under `attributes`");
        for (const { input, outputs } of [...cases, ...cases]) {
          const known = Object.entries(instance.attributes!(input) ?? {}).filter(([, value]) => value !== undefined);
          assert.deepEqual(Object.fromEntries(known), outputs, JSON.stringify(input));
        }
      },
    },
    {
      title: "answers at once, with values of the declared outputs",
      run({ instance }) {
        for (const { input } of cases) {
          const answer: unknown = instance.attributes!(input);
          if (answer === undefined) continue;
          assert.ok(typeof answer === "object" && answer !== null && !(answer instanceof Promise), "it is no object");
          for (const [name, value] of Object.entries(answer)) {
            const type = declared[name];
            assert.ok(type !== undefined, `${name} is no declared output`);
            if (value !== undefined) assert.ok(isOfType[type](value), `${name} is no ${type}`);
          }
        }
      },
    },
  ];
}
