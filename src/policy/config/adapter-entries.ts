import type { Adapter, FilePlace } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import { canonicalJson, ContentHash, plainValue } from "../canonical.ts";
import type { Problem } from "../problem.ts";
import type { NamedValue } from "../shape/collections.ts";
import type { Reading } from "../shape/shape.ts";
import type { AdapterEntry, Place } from "../snapshot.ts";
import { keyNode, valueOf } from "../yaml/node.ts";
import type { MapNode, Node, ScalarNode } from "../yaml/node.ts";
import { lineShown, placeAt, problemOfFile, sourceOf } from "../yaml/source.ts";
import { type DefinitionSources, findDefinition } from "./adapter-definition.ts";
import { inTime, textOf } from "./foreign-code.ts";
import { expectedBy, foundBy, hasOwnWords, isOfShape, type SchemaIssue } from "./schema-issue.ts";

export interface AdapterOptions extends DefinitionSources {
  /**
   * Lets adapters read the files that their configuration names, and tells what is wrong with them; given how a path is
   * shown to people. Left out: those files are not read.
   */
  readonly inspectFiles?: ((path: string) => string) | undefined;
}

/** Entries that exist without being named, and their adapters. */
const defaults: readonly (readonly [name: string, adapter: string])[] = [
  ["memory", "memory"],
  ["prometheus", "prometheus"],
  ["stdout", "log"],
];

/** The keys of an entry that are not the adapter's. */
const ownKeys: readonly string[] = ["adapter", "required"];

/** The place of what no file says. */
const nowhere: Place = { file: "(built in)", line: 1, column: 1 };

/**
 * Makes the entries under `adapters:` and those that exist anyway. An entry with a problem, which is told, is there as
 * `undefined`, so that rules which name it are not blamed too.
 */
export async function readAdapterEntries(
  named: readonly NamedValue<Node>[],
  reading: Reading | undefined,
  options: AdapterOptions,
): Promise<ReadonlyMap<string, AdapterEntry | undefined>> {
  const entries = new Map<string, AdapterEntry | undefined>();
  if (reading !== undefined)
    for (const entry of named) entries.set(entry.name, await readEntry(entry, reading, options));
  for (const [name, adapterName] of defaults) {
    const adapter = options.builtin.get(adapterName);
    if (adapter === undefined || entries.has(name)) continue;
    const validated = await adapter.config["~standard"].validate({});
    if (validated.issues !== undefined) throw new Error(`the adapter "${adapterName}" needs a configuration`);
    entries.set(name, entryOf({ name, adapter, module: adapterName, input: {}, config: validated.value }, nowhere));
  }
  return entries;
}

async function readEntry(
  { name, key, value }: NamedValue<Node>,
  reading: Reading,
  options: AdapterOptions,
): Promise<AdapterEntry | undefined> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) {
    const message = "an adapter is called by letters, digits and . _ -";
    return reading.tell(key, { code: "WEIR_POLICY_SHAPE", message });
  }
  const node: Node = value.kind === "scalar" && value.value === null ? { ...value, kind: "map", entries: [] } : value;
  if (node.kind !== "map") {
    const isText = node.kind === "scalar" && typeof node.value === "string";
    const hint = isText ? `{ adapter: ${node.text} }` : undefined;
    return reading.mismatch(node, "a map with the adapter's configuration", "WEIR_POLICY_SHAPE", hint);
  }
  const kind = valueOf(node, "adapter");
  if (kind !== undefined && (kind.kind !== "scalar" || typeof kind.value !== "string" || kind.text === ""))
    return reading.mismatch(kind, "the name of an adapter, or the path or package of one of your own");
  const specifier = kind === undefined ? name : (kind as ScalarNode).text;
  const found = await findDefinition(specifier, kind ?? key, kind === undefined, reading, options);
  if (found === undefined) return undefined;
  const { adapter, version } = found;
  const required = readRequired(node, reading);
  const config: MapNode = { ...node, entries: node.entries.filter((entry) => !ownKeys.includes(entry.key.text)) };
  const input = plainValue(config);
  let validated: Awaited<ReturnType<Adapter["config"]["~standard"]["validate"]>>;
  try {
    validated = await inTime(adapter.config["~standard"].validate(input), options.timers);
  } catch (error) {
    const message = `the adapter's check of its configuration failed: ${textOf(error)}`;
    return reading.tell(key, { code: "WEIR_ADAPTER_CONFIG", message });
  }
  if (validated.issues !== undefined) {
    for (const issue of validated.issues) tellIssue(issue, key, config, adapter, reading);
    return undefined;
  }
  if (options.inspectFiles !== undefined && adapter.inspect !== undefined) {
    try {
      const issues = await inTime(adapter.inspect(validated.value, options.folder), options.timers);
      for (const { at, ...issue } of issues) {
        if (at === undefined) tellIssue(issue, key, config, adapter, reading);
        else reading.problems.add(problemInFile(options.inspectFiles(at.file), at, issue.message));
      }
    } catch (error) {
      const message = `the adapter's check of its files failed: ${textOf(error)}`;
      reading.tell(key, { code: "WEIR_ADAPTER_CONFIG", message });
    }
  }
  const place = placeAt(reading.source, key.start);
  const entry = entryOf({ name, adapter, module: specifier + version, input, config: validated.value }, place);
  return { ...entry, required, line: lineShown(reading.source, key.start) };
}

function readRequired(node: MapNode, reading: Reading): boolean {
  const value = valueOf(node, "required");
  if (value === undefined) return false;
  if (value.kind === "scalar" && typeof value.value === "boolean") return value.value;
  reading.mismatch(value, "true or false: whether the hub is ready only while the adapter can serve");
  return false;
}

interface EntrySource {
  readonly name: string;
  readonly adapter: Adapter;
  /** What the adapter was found by, and in which version. */
  readonly module: string;
  readonly input: unknown;
  readonly config: unknown;
}

function entryOf({ name, adapter, module, input, config }: EntrySource, place: Place): AdapterEntry {
  const fingerprint = new ContentHash().add(adapter.name).add(module).add(canonicalJson(input)).digest();
  return { name, adapter, config, required: false, fingerprint, place };
}

/** An issue of a Standard Schema, shown where its path leads in the file. */
function tellIssue(issue: SchemaIssue, name: ScalarNode, config: MapNode, adapter: Adapter, reading: Reading): void {
  let node: Node = config;
  let key: ScalarNode = name;
  let missing: string | undefined;
  for (const segment of issue.path ?? []) {
    const part = String(typeof segment === "object" && segment !== null ? (segment as { key: unknown }).key : segment);
    const next: Node | undefined =
      node.kind === "map" ? valueOf(node, part) : node.kind === "list" ? node.items[Number(part)] : undefined;
    if (next === undefined) {
      missing = part;
      break;
    }
    if (node.kind === "map") key = keyNode(node, part)!;
    node = next;
  }
  // Zod names the keys that it does not know beside the path of the object that has them.
  const { keys } = issue as { readonly keys?: unknown };
  if (Array.isArray(keys) && node.kind === "map") {
    for (const unknown of keys.filter((each) => typeof each === "string")) {
      const shape = (adapter.config as { readonly shape?: unknown }).shape;
      const known = node === config && typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
      const near = nearest(unknown, known);
      const hint =
        near !== undefined
          ? `did you mean "${near}"?`
          : known.length > 0
            ? `known keys are ${[...ownKeys, ...known].join(", ")}`
            : undefined;
      const message = `unknown key "${unknown}" for the adapter "${adapter.name}"`;
      reading.tell(keyNode(node, unknown) ?? key, { code: "WEIR_POLICY_UNKNOWN_KEY", message, hint });
    }
    return;
  }
  const expected = expectedBy(issue);
  if (missing !== undefined && isOfShape(issue)) {
    const subject = node === config ? `the adapter "${adapter.name}"` : `"${key.text}"`;
    const what = expected === undefined ? "" : `: ${expected}`;
    return reading.tell(key, { code: "WEIR_ADAPTER_CONFIG", message: `${subject} needs the key "${missing}"${what}` });
  }
  const at = missing !== undefined || node === config ? key : node;
  if (expected !== undefined && at === node && !hasOwnWords(issue)) {
    const message = `expected ${expected}, got ${foundBy(issue, node)}`;
    return reading.tell(node, { code: "WEIR_ADAPTER_CONFIG", message });
  }
  const subject = missing === undefined ? "" : `${missing}: `;
  reading.tell(at, { code: "WEIR_ADAPTER_CONFIG", message: `${subject}${issue.message.slice(0, 500)}` });
}

function problemInFile(file: string, { line, column, length = 1, text }: FilePlace, message: string): Problem {
  return {
    ...problemOfFile(file, { code: "WEIR_ADAPTER_FILE", message: message.slice(0, 500) }),
    line,
    column,
    length,
    ...(text !== undefined && lineShown(sourceOf(file, text), column - 1)),
  };
}
