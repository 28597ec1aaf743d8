import type { HubOutcome, Rollout } from "../policy/pushed/rollout.ts";
import type { FollowingHub } from "../policy/pushed/versions.ts";
import { plural } from "./plural.ts";

/** Hubs say every 5 s what they serve: one that missed this is not well. */
const quietMs = 12_000;

/** How many hubs one line names. */
const maxNames = 20;

export const noHub = "no hub follows this bucket yet, or none may say so";

/** What a hub made of a version, as lines of its own. */
export function outcomeLines(outcome: HubOutcome): string {
  const { hub, kind } = outcome;
  if (kind === "serves") return `  ${hub}  serves them ${after(outcome.afterMs)}\n`;
  if (kind === "left") return `  ${hub}  has stopped\n`;
  if (kind === "silent")
    return `  ${hub}  is silent: it said last ${span(outcome.silentMs)} ago that it serves ${outcome.serves}\n`;
  if (kind === "waits") {
    const why = outcome.reason === undefined ? "" : `, as they could not be had: ${outcome.reason}`;
    return `  ${hub}  has not taken them yet, and serves ${outcome.serves}${why}\n`;
  }
  const problems = outcome.problems.map((problem) => `${problem.replace(/^/gm, "      ")}\n`).join("");
  return `  ${hub}  refused them ${after(outcome.afterMs)}, and serves ${outcome.serves}\n${problems}`;
}

function after(ms: number | undefined): string {
  return ms === undefined ? "already" : `after ${span(ms)}`;
}

/** What the hubs made of a version, as one line; and whether all of them serve it. */
export function summaryOf({ hubs, deaf }: Rollout): { readonly line: string; readonly isWhole: boolean } {
  const unheard = `what the hubs do could not be heard: ${deaf}`;
  if (deaf !== undefined && hubs.length === 0) return { line: `${unheard}\n`, isWhole: false };
  if (hubs.length === 0) return { line: `${noHub}\n`, isWhole: true };
  const serving = hubs.filter((each) => each.kind === "serves");
  const times = serving.map(({ afterMs }) => afterMs).filter((ms) => ms !== undefined);
  const last = times.length === 0 ? "" : `, the last after ${span(Math.max(...times))}`;
  const named = (kind: HubOutcome["kind"], what: string): string[] => {
    const names = hubs.filter((each) => each.kind === kind).map(({ hub }) => hub);
    if (names.length === 0) return [];
    const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : "";
    return [`${names.length} ${what}: ${names.slice(0, maxNames).join(", ")}${more}`];
  };
  const others = [
    ...named("refused", "refused"),
    ...named("waits", "not yet"),
    ...named("silent", "silent"),
    ...named("left", "stopped"),
    ...(deaf === undefined ? [] : [`at the end ${unheard}`]),
  ];
  const line = [`${count(serving.length)} ${serving.length === 1 ? "serves" : "serve"} them${last}`, ...others].join(
    "; ",
  );
  return { line: `${line}\n`, isWhole: hubs.every(({ kind }) => kind === "serves" || kind === "left") };
}

/** A hub that follows what is pushed, as a line of a list. */
export function followingLine({ hub, serves, since, tookMs, refused, lacks, saidMs }: FollowingHub): string {
  const took = tookMs === undefined ? "" : ` (in ${span(tookMs)})`;
  const [problem = ""] = refused?.problems ?? [];
  const notes = [
    ...(since === undefined ? [] : [`since ${since.slice(0, 19)}Z${took}`]),
    ...(refused === undefined ? [] : [`refused ${refused.version}: ${problem.split("\n", 1)[0]}`]),
    ...(lacks === undefined ? [] : [`could not have what holds: ${lacks}`]),
    ...(saidMs < quietMs ? [] : [`silent for ${span(saidMs)}`]),
  ];
  return `${hub}  ${serves}  ${notes.join("; ")}`.trimEnd();
}

export function count(hubs: number): string {
  return plural(hubs, "hub", "hubs");
}

/** `41 ms`, `1.2 s`, `12 s` */
function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
