import { createHash } from "node:crypto";
import type { Snapshot } from "../../policy/snapshot.ts";

/** A response header that rules change. */
export interface CarriedResponse {
  readonly name: string;
  /** Whether rules set or remove it. */
  readonly replaced: boolean;
  /** Whether rules append to it. */
  readonly added: boolean;
}

/** The headers that nginx has to take over from the hub's answer: it must know each by its name. */
export interface CarriedHeaders {
  readonly request: readonly string[];
  readonly response: readonly CarriedResponse[];
  readonly warnings: readonly string[];
}

/** nginx writes these by itself, whatever it is told to add. */
const written = {
  request: new Set(["x-forwarded-for", "x-forwarded-proto"]),
  response: new Set(["content-encoding", "content-type", "date", "server"]),
} as const;

/** The header fields by which a response that passes tells of limits. */
const limitFields = {
  draft: ["ratelimit-policy", "ratelimit"],
  legacy: ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
  none: [],
} as const;

/** Collects the headers that the rules change of requests and responses that pass. */
export function carriedHeaders({ checks, settings }: Snapshot): CarriedHeaders {
  const request = new Set<string>();
  const response = new Map<string, CarriedResponse>();
  const warnings = new Set<string>();
  const isCarried = (rule: string, name: string, ofNginx: ReadonlySet<string>): boolean => {
    if (ofNginx.has(name)) warnings.add(`${rule} changes the header ${name}, which nginx writes itself`);
    else if (isVariable(name)) return true;
    else warnings.add(`${rule} changes the header ${name}, which nginx cannot name in a variable: it is left out`);
    return false;
  };
  for (const rule of checks) {
    if (rule.kind !== "headers") continue;
    for (const { name } of rule.request) if (isCarried(rule.id, name, written.request)) request.add(name);
    for (const { name, operation } of rule.response) {
      if (!isCarried(rule.id, name, written.response)) continue;
      const before = response.get(name);
      const added = operation === "append";
      response.set(name, {
        name,
        replaced: !added || before?.replaced === true,
        added: added || before?.added === true,
      });
    }
  }
  const { style, on } = settings.doors.rateLimitFields;
  const fields = style === "both" ? [...limitFields.draft, ...limitFields.legacy] : limitFields[style];
  if (on === "always" && checks.some(({ kind }) => kind === "limit")) {
    for (const name of fields) response.set(name, { name, replaced: true, added: false });
  }
  return {
    request: [...request].sort(),
    response: [...response.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    warnings: [...warnings].sort(),
  };
}

/** The name of a header within a variable of nginx. */
export function inVariable(name: string): string {
  return name.replaceAll("-", "_");
}

/** The longest name of a header that a variable of ours has in its name: 46 bytes of one fit into nginx's table of them. */
const longest = 46 - "weir_response_".length;

/** A variable for a header, without the dollar. Of a header with a long name it has the beginning, and a hash of the whole. */
export function variableOf(use: "request" | "response" | "replaced" | "added", name: string): string {
  const hash = (): string => createHash("sha256").update(name).digest("hex").slice(0, 8);
  const own = name.length <= longest ? name : `${name.slice(0, longest - 9)}-${hash()}`;
  return `weir_${use}_${inVariable(own)}`;
}

/** Whether a variable of nginx means this header and no other. */
function isVariable(name: string): boolean {
  return /^[a-z0-9-]+$/.test(name);
}
