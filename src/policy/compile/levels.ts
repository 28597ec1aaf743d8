import type { RawCheckRule } from "../schema/check-rule.ts";
import type { RawLevel } from "../schema/limit.ts";
import { compileLimit } from "./limit.ts";
import type { RuleContext } from "./rule-head.ts";
import { shaped } from "./shaped.ts";
import type { LimitRule } from "../snapshot.ts";
import { warnOfNeverGranted, warnOfNotDivided } from "./warnings.ts";

/** Marks that ids of limits have for other purposes. */
const reserved = new Set(["observe", "override"]);

/**
 * Compiles the levels of a limit, each as a limit of its own that is charged with it: `policy/rule#level`. A level counts
 * within those above it: its key begins with theirs, so the team `web` of one organisation is not that of another.
 */
export function compileLevels(context: RuleContext, raw: RawCheckRule, top: LimitRule): readonly LimitRule[] {
  const { reading } = context;
  const levels: LimitRule[] = [];
  let above: LimitRule = top;
  for (const level of raw.levels?.items ?? []) {
    const name = level.name?.value;
    if (name === undefined || level.limit === undefined || level.by === undefined) continue;
    if (reserved.has(name) || levels.some((other) => other.name === `${top.name}#${name}`)) {
      const message = reserved.has(name)
        ? `"${name}" names something else of a limit`
        : `the rule has a level "${name}" already`;
      reading.tell(level.name!.node, { code: "WEIR_POLICY_DUPLICATE", message });
      continue;
    }
    const { policy, place, when, unless, message, http, cacheMs, at } = top;
    const head = { id: `${top.id}#${name}`, name: `${top.name}#${name}`, policy, place, when, unless };
    const parts = compileLimit(context, ownPart(raw, level), head);
    if (parts === undefined) continue;
    const own = parts.by.map((part) => (part.name === "key" ? { ...part, name } : part));
    const by = [...above.by, ...own];
    above = shaped<LimitRule>({ kind: "limit", ordinal: -1, ...head, message, http, cacheMs, ...parts, at, by, top });
    levels.push(above);
    warnOfNotDivided(context, level.node, above);
    warnOfNeverGranted(context, raw, above);
  }
  return levels;
}

/** The rule as if it had only this level. What else the rule says of its top level is not of this one. */
function ownPart(raw: RawCheckRule, { node, limit, burst, by, algorithm, zone }: RawLevel): RawCheckRule {
  const given = { via: raw.via, cost: raw.cost, onError: raw.onError, limit, burst, by, algorithm, zone };
  const share = raw.onError?.value === "local" ? raw.share : undefined;
  const part: Record<string, unknown> = {};
  for (const [key, value] of Object.entries({ ...given, share })) if (value !== undefined) part[key] = value;
  return { ...part, kind: "limit", node: node } as RawCheckRule;
}
