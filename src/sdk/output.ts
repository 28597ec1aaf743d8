import type { InputTypeMap } from "./input.ts";

/** The types that an adapter's declared output can have: those of inputs, each as itself. */
export const outputTypes = [
  "string",
  "int64",
  "double",
  "bool",
  "timestamp",
  "duration",
  "ip",
  "bytes",
  "string_map",
] as const satisfies readonly (keyof InputTypeMap)[];

export type OutputType = (typeof outputTypes)[number];

/** Names of outputs and their types. */
export type Outputs = Readonly<Record<string, OutputType>>;

/** What `attributes` answers for declared outputs. One that is left out, or `undefined`, has no value for this request. */
export type OutputTypes<O extends Outputs> = { readonly [N in keyof O]?: InputTypeMap[O[N]] | undefined };
