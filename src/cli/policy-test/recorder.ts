import type { LogEntry, Span } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Drop, Outcome, RuleFault, Sample } from "./outcome.ts";

/** Keeps what a step brings about, until it is taken. */
export interface Recorder {
  readonly samples: Sample[];
  readonly entries: LogEntry[];
  readonly spans: Span[];
  /** Adapters that were asked, and neither the test nor the adapter could answer. */
  readonly unanswered: Set<string>;
  /** Calls to adapters themselves that are under way in the real world. */
  readonly outside: Set<Promise<unknown>>;
  readonly observer: Observer;
  /** All that was kept since the last time. */
  take(): Omit<Outcome, "decision" | "record">;
}

export function createRecorder(): Recorder {
  const samples: Sample[] = [];
  const entries: LogEntry[] = [];
  const spans: Span[] = [];
  const faults: RuleFault[] = [];
  const dropped: Drop[] = [];
  const unanswered = new Set<string>();
  const nothing = (): void => undefined;
  return {
    samples,
    entries,
    spans,
    unanswered,
    outside: new Set(),
    observer: {
      call: nothing,
      decision: nothing,
      refusal: nothing,
      limitDegraded: nothing,
      adapterCall: nothing,
      quotaUse: nothing,
      adapterEvent: nothing,
      callerRefused: nothing,
      reload: nothing,
      ruleFault(rule, part, kind) {
        faults.push({ rule, part, kind });
      },
      dropped(what, reason, count) {
        dropped.push({ what, reason, count });
      },
    },
    take() {
      const taken = {
        samples: samples.splice(0),
        entries: entries.splice(0),
        spans: spans.splice(0),
        faults: faults.splice(0),
        dropped: dropped.splice(0),
        unanswered: [...unanswered],
      };
      unanswered.clear();
      return taken;
    },
  };
}
