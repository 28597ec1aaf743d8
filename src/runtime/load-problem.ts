import type { Problem } from "../policy/problem.ts";
import type { AdapterEntry, Snapshot } from "../policy/snapshot.ts";
import { WeirError } from "../util/weir-error.ts";

/** That something which is no adapter refused to be prepared. Placed at the first report rule: those are prepared. */
export function unprepared(snapshot: Snapshot, error: unknown): Problem {
  const place = snapshot.reports[0]?.place ?? { file: snapshot.settings.policies, line: 1, column: 1 };
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof WeirError ? error.code : "WEIR_ADAPTER_LOAD";
  return { ...place, code, severity: "error", message, length: 1 };
}

/** That the adapter of an entry could not be made, at the place where `weir.yaml` names it. */
export function problemOf(entry: AdapterEntry, error: unknown): Problem {
  const cause = error instanceof Error ? error.message : String(error);
  return {
    ...entry.place,
    code: "WEIR_ADAPTER_LOAD",
    severity: "error",
    message: `the adapter "${entry.name}" could not be made: ${cause}`,
    length: entry.name.length,
    ...entry.line,
  };
}
