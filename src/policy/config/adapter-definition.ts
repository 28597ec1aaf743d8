import { type Adapter, capabilities, inputTypes, outputTypes } from "../../sdk/index.ts";
import { misspeltKey } from "../../sdk/misspelt.ts";
import { nearest } from "../../util/nearest.ts";
import type { Timers } from "../../util/timers.ts";
import type { Reading } from "../shape/shape.ts";
import type { Node, ScalarNode } from "../yaml/node.ts";
import { inTime, textOf } from "./foreign-code.ts";
import { importHint, isPath } from "./import-hint.ts";

/**
 * Imports a module that `adapter:` names, a path or a package, as seen from a folder. `version` tells a module that has
 * changed from what it was. Rejects when there is none.
 */
export type ImportAdapter = (
  specifier: string,
  folder: string,
) => Promise<{ readonly exports: unknown; readonly version: string }>;

/** Where adapters come from. */
export interface DefinitionSources {
  /** The adapters that come with Weir, by name. */
  readonly builtin: ReadonlyMap<string, Adapter>;
  /** Where relative paths are meant from. */
  readonly folder: string;
  readonly importAdapter: ImportAdapter;
  /** Default: Node's. */
  readonly timers?: Timers | undefined;
}

/**
 * The adapter that an entry names, and in which version. What is wrong is told at `node`.
 *
 * @param byName whether the entry says nothing of its adapter but its own name
 */
export async function findDefinition(
  specifier: string,
  node: ScalarNode | Node,
  byName: boolean,
  reading: Reading,
  { builtin, folder, importAdapter, timers }: DefinitionSources,
): Promise<{ readonly adapter: Adapter; readonly version: string } | undefined> {
  const known = builtin.get(specifier);
  if (known !== undefined) return { adapter: known, version: "" };
  const names = [...builtin.keys()].join(", ");
  const near = nearest(specifier, builtin.keys());
  const hint = near === undefined ? `built in are ${names}` : `did you mean "${near}"?`;
  if (byName) {
    const message = `no adapter "${specifier}" is built in, and the entry does not say which it is`;
    return reading.tell(node, {
      code: "WEIR_ADAPTER_LOAD",
      message,
      hint: near === undefined ? `adapter: NAME says which; ${hint}` : hint,
    });
  }
  let exports: unknown;
  let version: string;
  try {
    ({ exports, version } = await inTime(importAdapter(specifier, folder), timers));
  } catch (error) {
    const what = isPath(specifier) ? "the module" : "the package";
    const message = `${what} "${specifier}" could not be imported: ${textOf(error)}`;
    const help = (await importHint(error, specifier, folder)) ?? (isPath(specifier) ? undefined : hint);
    return reading.tell(node, { code: "WEIR_ADAPTER_LOAD", message, hint: help });
  }
  const definition =
    exports !== null && typeof exports === "object" ? (exports as { default?: unknown }).default : undefined;
  const flaw = flawOf(definition);
  if (flaw === undefined) return { adapter: definition as Adapter, version };
  const message = `"${specifier}" does not export an adapter: ${flaw}`;
  return reading.tell(node, { code: "WEIR_ADAPTER_LOAD", message, hint: "export default defineAdapter({ ... })" });
}

/** What a default export lacks to be an adapter, or `undefined`. */
function flawOf(value: unknown): string | undefined {
  if (value === undefined) return "it has no default export";
  if (value === null || typeof value !== "object") return "its default export is no object";
  const { name, provides, config, create, input, outputs } = value as Partial<Record<keyof Adapter, unknown>>;
  if (typeof name !== "string" || !/^[a-z0-9][a-z0-9-]*$/.test(name))
    return "name is not made of lower case letters, digits and dashes";
  if (!Array.isArray(provides) || provides.length === 0) return "provides is no list of capabilities";
  const strange = provides.find((each) => !(capabilities as readonly unknown[]).includes(each));
  if (strange !== undefined) return `provides names "${String(strange)}", known are ${capabilities.join(", ")}`;
  const standard = (config as { "~standard"?: { validate?: unknown } } | undefined)?.["~standard"];
  if (typeof standard?.validate !== "function") return "config is no Standard Schema";
  if (typeof create !== "function") return "create is no function";
  const misspelt = misspeltKey(value);
  if (misspelt !== undefined) return `it has no "${misspelt.name}": did you mean "${misspelt.meant}"?`;
  const inputsFlaw = input === undefined ? undefined : typesFlaw("input", input, inputTypes);
  if (inputsFlaw !== undefined) return inputsFlaw;
  return provides.includes("attributes") ? typesFlaw("output", outputs, outputTypes) : undefined;
}

/** What is wrong with declared inputs or outputs, or `undefined`. */
function typesFlaw(what: "input" | "output", declared: unknown, known: readonly unknown[]): string | undefined {
  const all = what === "input" ? "input" : "outputs";
  if (typeof declared !== "object" || declared === null) return `${all} is no object`;
  const strange = Object.entries(declared).find(([, type]) => !known.includes(type));
  return (
    strange &&
    `its ${what} "${strange[0]}" has the type "${String(strange[1])}", which is none; known are ${known.join(", ")}`
  );
}
