import { notedCheck, notedJudgements } from "../telemetry/decisions/noted.ts";
import type { Reporter } from "../telemetry/report.ts";
import type { Serving } from "../runtime/runtime.ts";
import type { Session } from "../wire/session.ts";

/** What a door sees of a snapshot that serves. */
export function sessionOn(serving: Serving<Reporter>, door: string, monotonic: () => number): Session {
  const { snapshot, holds, prepared } = serving;
  const { decisions: log } = prepared;
  const noting = log && { log, door, monotonic };
  const check = noting === undefined ? serving.check : notedCheck(serving.check, noting);
  const rateLimit: Session["rateLimit"] =
    noting === undefined ? serving.rateLimit : notedJudgements(serving.rateLimit, noting);
  return {
    layout: snapshot.layout,
    reportLayout: snapshot.reportLayout,
    vocabulary: snapshot.vocabulary,
    doors: snapshot.settings.doors,
    check,
    rateLimit,
    report: reportOf(prepared, holds),
    ongoing: prepared.ongoing,
    commit: prepared.commit,
    hold: holds.change,
    notTried: prepared.notTried,
    end: () => serving.release(),
  };
}

/** What takes a record; where rules ask for it, also what ends what the request held. */
function reportOf({ report }: Reporter, { end }: Serving<Reporter>["holds"]): Session["report"] {
  if (end === undefined) return report;
  return (bag, told) => {
    const outcome = report(bag, told);
    if (outcome === "taken") end(bag);
    return outcome;
  };
}
