import type { Overload } from "../overload.ts";
import { addresses } from "./addresses.ts";
import { arithmetic } from "./arithmetic.ts";
import { conversions } from "./conversions.ts";
import { optionals } from "./optionals.ts";
import { strings } from "./strings.ts";
import { times } from "./times.ts";

/** Every function and operator that an expression may call, by its name. */
export const library: ReadonlyMap<string, readonly Overload[]> = byName([
  ...arithmetic,
  ...conversions,
  ...strings,
  ...times,
  ...addresses,
  ...optionals,
]);

function byName(overloads: readonly Overload[]): Map<string, Overload[]> {
  const names = new Map<string, Overload[]>();
  for (const overload of overloads) {
    const known = names.get(overload.name);
    if (known === undefined) names.set(overload.name, [overload]);
    else known.push(overload);
  }
  return names;
}
