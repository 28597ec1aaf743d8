import type { CheckRule, ReportRule, Snapshot } from "../../policy/snapshot.ts";
import type { Unreached } from "./result.ts";
import type { Tried } from "./trace.ts";

/** Which rules the cases of a run came to. A rule is known by its place: several test files may test the same one. */
export interface Coverage {
  /** Adds the rules under test. */
  add(snapshot: Snapshot): void;
  /** Notes what a step has tried. */
  note(snapshot: Snapshot, tried: readonly Tried[]): void;
  /** Rules that no step reached, by file and line. */
  unreached(): readonly Unreached[];
}

export function createCoverage(): Coverage {
  const rules = new Map<string, Unreached>();
  const reached = new Set<string>();
  const keyOf = ({ id, place }: CheckRule | ReportRule): string => `${place.file}:${place.line}:${place.column} ${id}`;
  const keys = new Map<Snapshot, ReadonlyMap<string, string>>();
  return {
    add(snapshot) {
      const all = [...snapshot.checks, ...snapshot.reports];
      keys.set(snapshot, new Map(all.map((rule) => [rule.id, keyOf(rule)])));
      for (const rule of all) rules.set(keyOf(rule), { rule: rule.id, place: rule.place });
    },
    note(snapshot, tried) {
      for (const { name, reached: is } of tried) {
        const key = is ? keys.get(snapshot)?.get(name) : undefined;
        if (key !== undefined) reached.add(key);
      }
    },
    unreached: () =>
      [...rules]
        .filter(([key]) => !reached.has(key))
        .map(([, unreached]) => unreached)
        .sort((a, b) =>
          a.place.file < b.place.file ? -1 : a.place.file > b.place.file ? 1 : a.place.line - b.place.line,
        ),
  };
}
