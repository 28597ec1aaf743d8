import type { Snapshot } from "../../policy/snapshot.ts";
import { comparedWith, type PolicyReads } from "./reads.ts";

/** The service behind a proxy, as attributes that the proxy's configuration vouches for. */
export interface Service {
  readonly attributes: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/**
 * Names the service: as told (`NAME`, `NAME.NAMESPACE` or `NAME.NAMESPACE.svc.DOMAIN`), else as the policies do where they name only one. Warns of
 * attributes of the destination that rules read and nobody tells: a proxy says little or nothing of where a request goes.
 */
export function serviceOf(
  told: string | undefined,
  more: ReadonlyMap<string, string>,
  snapshot: Snapshot,
  reads: PolicyReads,
  proxy: { readonly name: string; readonly tells: readonly string[] },
): Service {
  const warnings: string[] = [];
  const names = comparedWith(snapshot, "destination.service.name");
  const namespaces = comparedWith(snapshot, "destination.namespace");
  const whole = told === undefined ? null : /^([^.]+\.[^.]+)\.svc(\..+)?$/.exec(told);
  const [name, ...rest] = (whole?.[1] ?? told)?.split(".") ?? (names.length === 1 ? names : []);
  const namespace = rest.length > 0 ? rest.join(".") : namespaces.length === 1 ? namespaces[0] : undefined;
  const domain = whole?.[2] ?? ".cluster.local";
  const attributes = new Map<string, string>();
  if (name !== undefined) attributes.set("destination.service.name", name);
  if (namespace !== undefined) {
    for (const word of ["destination.namespace", "destination.service.namespace"]) attributes.set(word, namespace);
    if (name !== undefined) attributes.set("destination.service.host", `${name}.${namespace}.svc${domain}`);
  }
  for (const [word, value] of more) attributes.set(word, value);

  const read = [...reads.check, ...reads.limits.flatMap(({ uses }) => uses)].map((use) => use.name);
  const untold = new Set(read.filter((word) => word.startsWith("destination.") && !attributes.has(word)));
  for (const word of proxy.tells) untold.delete(word);
  for (const word of [...untold].sort()) {
    const known =
      word === "destination.service.name" && names.length > 0 ? ` (the policies name ${names.join(", ")})` : "";
    const how = /^destination\.(service\.(name|namespace|host)|namespace)$/.test(word)
      ? "--service NAME.NAMESPACE"
      : `--attribute ${word}=VALUE`;
    warnings.push(`rules read ${word}, which ${proxy.name} does not tell: give it with ${how}${known}`);
  }
  return { attributes, warnings };
}
