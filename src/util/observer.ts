/**
 * What rooms tell about their own work, for the hub's metrics. Rooms are handed one; telemetry implements it over its
 * one table of metric names. Every method is cheap, returns nothing and never throws. Label values are few and fixed:
 * names from files and from code, never a caller's text.
 */
export interface Observer {
  /** A call at a door ended. `method` such as `Check`; `code` is a gRPC code name or an HTTP status. */
  call(door: string, method: string, code: string, ms: number): void;
  /**
   * A decision was made. Of the time that it took: `asksMs` was waited for verdicts of adapters, `limitsMs` went into the
   * charges of limits. Left out where there was none of that.
   */
  decision(allowed: boolean, ms: number, asksMs?: number, limitsMs?: number): void;
  /** A rule refused, or would have in mode observe. */
  refusal(rule: string, mode: "enforce" | "observe"): void;
  /** Something in a rule could not be evaluated. `part` such as `when`, `unless`, `by`, `cost`, `label`. */
  ruleFault(rule: string, part: string, kind: "absence" | "fault"): void;
  /** The store of a limit did not answer, and the rule's `onError` did; why it did not. */
  limitDegraded(rule: string, reason: "fault" | "timeout" | "busy" | "open"): void;
  /** A call to an adapter ended. */
  adapterCall(
    adapter: string,
    capability: string,
    outcome: "ok" | "fault" | "timeout" | "busy" | "open",
    ms: number,
  ): void;
  /** A proxy that keeps to a limit by itself reported requests that it let pass and that it denied. */
  quotaUse(rule: string, allowed: number, denied: number): void;
  /** An adapter counted something of its own. */
  adapterEvent(adapter: string, event: string, by: number): void;
  /** Something was left out or thrown away. `what` such as `log_entry`, `header`, `attribute`; `reason` such as `queue_full`. */
  dropped(what: string, reason: string, by: number): void;
  /**
   * A caller was turned away. `at` is the listener where its connection was (`grpc`, `http`, `admin`), or the door where
   * its call was; `reason` such as `untrusted`, `client`, `door`, `attribute`, `domain`, `token`.
   */
  callerRefused(at: string, reason: string): void;
  /** A policy set was loaded or refused. */
  reload(ok: boolean, version: string): void;
}
