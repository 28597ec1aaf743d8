import type { Observer } from "../../util/observer.ts";
import type { BufferCounts } from "../buffer/record-buffer.ts";
import { type Cell, Cells, counterCell } from "./cells.ts";
import { Latency } from "./latency.ts";
import type { RecordCounts } from "../report.ts";

export type HubCounts = ReturnType<typeof createHubCounts>;

/**
 * What is counted of what happens in the hub, and the observer that counts it: in plain fields, which costs nanoseconds
 * where prom-client would hash the labels each time.
 *
 * @param now milliseconds since 1970
 */
export function createHubCounts(now: () => number) {
  const callLatency = new Cells((labels) => new Latency(labels));
  const adapterLatency = new Cells((labels) => new Latency(labels));
  const counters = {
    calls: new Cells(timedBy(callLatency)),
    refusals: new Cells(counterCell),
    faults: new Cells(counterCell),
    dropped: new Cells(counterCell),
    callersRefused: new Cells(counterCell),
    quotaRequests: new Cells(counterCell),
    adapterCalls: new Cells(timedBy(adapterLatency)),
    adapterEvents: new Cells(counterCell),
    degraded: new Cells(counterCell),
  };
  // Most decisions are nothing but rules: they are counted once, and put together with the others in a scrape.
  const plainLatency = new Latency([]);
  const phasedLatency = new Latency([]);
  const phases = { rules: new Latency(["rules"]), asks: new Latency(["asks"]), limits: new Latency(["limits"]) };
  const decisions = { allowed: 0, refused: 0 };
  const records: RecordCounts = { taken: 0, full: 0 };
  const buffered: BufferCounts = { stored: 0, spilled: 0, refused: 0 };
  const reloads = { ok: 0, refused: 0, successful: 0, successMs: 0 };

  const observer: Observer = {
    call(door, method, code, ms) {
      const calls = counters.calls.at(door, method, code);
      calls.value++;
      calls.latency.observe(ms);
    },
    decision(allowed, ms, asksMs, limitsMs) {
      if (allowed) decisions.allowed++;
      else decisions.refused++;
      if (asksMs === undefined && limitsMs === undefined) return plainLatency.observe(ms);
      phasedLatency.observe(ms);
      phases.rules.observe(ms - (asksMs ?? 0) - (limitsMs ?? 0));
      if (asksMs !== undefined) phases.asks.observe(asksMs);
      if (limitsMs !== undefined) phases.limits.observe(limitsMs);
    },
    refusal(rule, mode) {
      counters.refusals.at(rule, mode).value++;
    },
    ruleFault(rule, part, kind) {
      counters.faults.at(rule, part, kind).value++;
    },
    limitDegraded(rule, reason) {
      counters.degraded.at(rule, reason).value++;
    },
    adapterCall(adapter, capability, outcome, ms) {
      const calls = counters.adapterCalls.at(adapter, capability, outcome);
      calls.value++;
      calls.latency.observe(ms);
    },
    quotaUse(rule, allowed, denied) {
      if (allowed > 0) counters.quotaRequests.at(rule, "allowed").value += allowed;
      if (denied > 0) counters.quotaRequests.at(rule, "denied").value += denied;
    },
    adapterEvent(adapter, event, by) {
      if (by > 0) counters.adapterEvents.at(adapter, event).value += by;
    },
    dropped(what, reason, by) {
      if (by > 0) counters.dropped.at(what, reason).value += by;
    },
    callerRefused(at, reason) {
      counters.callersRefused.at(at, reason).value++;
    },
    reload(ok) {
      reloads.successful = ok ? 1 : 0;
      if (!ok) reloads.refused++;
      else {
        reloads.ok++;
        reloads.successMs = now();
      }
    },
  };

  return {
    observer,
    counters,
    callLatency,
    adapterLatency,
    /** Of decisions: those that were nothing but rules, and the others. */
    plainLatency,
    phasedLatency,
    phases,
    decisions,
    records,
    buffered,
    reloads,
  };
}

/** A series of a counter of calls, with that of their latency, whose labels are the first two of them: found in one look-up. */
interface TimedCell extends Cell {
  readonly latency: Latency;
}

function timedBy(latencies: Cells<Latency>): (labels: readonly string[]) => TimedCell {
  return (labels) => ({ labels, value: 0, latency: latencies.at(labels[0]!, labels[1]) });
}
