import { nearest } from "../util/nearest.ts";
import { capabilities, type Adapter, type Capability, type Instance } from "./adapter.ts";

type Kind = "function" | "number" | "object";

/** What an instance may have beside the methods of its capabilities, and of which kind it is. */
const instanceMembers = {
  refund: "function",
  atHand: "function",
  timeoutMs: "number",
  peers: "function",
  apportion: "function",
  usage: "object",
  leases: "function",
  exported: "function",
  unexported: "function",
  expose: "function",
  unready: "function",
  close: "function",
} satisfies Record<Exclude<keyof Instance, Capability>, Kind>;

/** What a definition must have. */
const needed = ["name", "provides", "config", "create"] as const;
type Needed = (typeof needed)[number];

/** What a definition may have that nobody misses when it is not there. */
const definitionMembers = {
  description: true,
  consistencies: true,
  input: true,
  outputs: true,
  inspect: true,
  shown: true,
  policyStore: true,
} satisfies Record<Exclude<keyof Adapter, Needed>, true>;

/** A member that the hub never looks at, and the one that was most likely meant. */
export interface Misspelt {
  readonly name: string;
  readonly meant: string;
}

/**
 * Members of an instance that look like others that it lacks: methods of what it provides, and what may be beside them. An
 * instance may have members of its own, so this is no fault for certain. Looks at classes too, and runs no getters.
 */
export function misspeltMembers(instance: object, provides: readonly Capability[]): readonly Misspelt[] {
  const known = new Map<string, Kind>(provides.map((name) => [name, "function"]));
  for (const [name, kind] of Object.entries(instanceMembers)) known.set(name, kind);
  const found: Misspelt[] = [];
  for (
    let at: object | null = instance;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  )
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (known.has(name) || isCapability(name) || name === "constructor") continue;
      const missing = [...known].filter(([other, kind]) => kind === typeof value && !(other in instance));
      const meant = nearest(
        name,
        missing.map(([other]) => other),
      );
      if (meant !== undefined) found.push({ name, meant });
    }
  return found;
}

/** The first key of a definition that looks like one that it lacks. */
export function misspeltKey(definition: object): Misspelt | undefined {
  const missing = Object.keys(definitionMembers).filter((key) => !(key in definition));
  for (const name of Object.keys(definition)) {
    if (name in definitionMembers || needed.some((key) => key === name)) continue;
    const meant = nearest(name, missing);
    if (meant !== undefined) return { name, meant };
  }
  return undefined;
}

function isCapability(name: string): boolean {
  return capabilities.some((capability) => capability === name);
}
