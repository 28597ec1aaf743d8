import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BoundedLimits } from "./bounded-limits.ts";
import type { ExactLimits } from "./exact-limits.ts";
import type { MemoryLimits } from "./memory-limits.ts";
import { runOnLoadCore, serverFlags } from "./server-process.ts";
import { micros, type Row } from "./table.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** What limits cost that a hub keeps in its own memory. */
export async function memoryLimits(): Promise<Row[]> {
  const { hotNs, variedNs, allNs, bytes, growMs, cleanUpMs } = await runOnLoadCore<MemoryLimits>([
    ...serverFlags,
    join(here, "memory-limits.js"),
  ]);
  const pauseMs = Math.max(growMs, cleanUpMs);
  return [
    decision("Limit in memory, without a door: 100 keys", hotNs),
    decision("the same: 10,000 keys", variedNs),
    { scenario: "for scale: any of 1,000,000 keys", weir: "", beside: "", figure: micros(allNs / 1000), target: "" },
    {
      scenario: "the same: 1,000,000 live keys",
      weir: `${Math.round(bytes / 1e6)} MB`,
      beside: "",
      figure: `${Math.round(bytes / 1e6)} MB`,
      target: "under 400 MB",
      met: bytes < 400e6,
    },
    {
      scenario: "the same: longest pause, CPU of 100 new keys",
      weir: `${growMs.toFixed(1)} ms to grow, ${cleanUpMs.toFixed(1)} ms to replace`,
      beside: "",
      figure: `${pauseMs.toFixed(1)} ms`,
      target: "at most 50 ms",
      met: pauseMs <= 50,
    },
  ];
}

/** What limits cost that hubs share and answer from units taken ahead, beside limits in memory in the same process. */
export async function boundedLimits(): Promise<Row[]> {
  const { boundedNs, memoryNs, waited } = await runOnLoadCore<BoundedLimits>([
    ...serverFlags,
    join(here, "bounded-limits.js"),
  ]);
  const share = memoryNs / boundedNs;
  return [
    {
      scenario: "Limit in Redis, consistency bounded, without a door: 100 hot keys, throughput of the limit in memory",
      weir: `${Math.round(boundedNs)} ns of CPU a decision, ${(waited * 100).toFixed(2)} % waited for Redis`,
      beside: `${Math.round(memoryNs)} ns`,
      figure: share.toFixed(2),
      target: "at least 0.9",
      met: share >= 0.9,
    },
  ];
}

/** What limits cost that hubs share and ask Redis for each time, beside the same script over a bare socket. */
export async function exactLimits(): Promise<Row[]> {
  const { perSecond, rawPerSecond, share, p99Ms, rawP99Ms, waited } = await runOnLoadCore<ExactLimits>([
    ...serverFlags,
    join(here, "exact-limits.js"),
  ]);
  // Where other programs take the cores, a percentile tells how long they keep them.
  const held =
    waited !== undefined && waited > 0.02
      ? `; hub and Redis were without a core ${Math.round(waited * 100)} % of the time: others had it`
      : "";
  return [
    {
      scenario: "Limit in Redis, exact, without a door: throughput of raw pipelined EVALSHA",
      weir: `${Math.round(perSecond)} a second`,
      beside: `${Math.round(rawPerSecond)} a second`,
      figure: share.toFixed(2),
      target: "at least 0.5",
      met: share >= 0.5,
    },
    {
      scenario: "the same at half of that load: p99 of a decision",
      weir: `${p99Ms.toFixed(2)} ms${held}`,
      beside: `${rawP99Ms.toFixed(2)} ms raw, at half of its own`,
      figure: `${p99Ms.toFixed(2)} ms`,
      target: "under 2 ms",
      met: p99Ms < 2,
    },
  ];
}

function decision(scenario: string, ns: number): Row {
  return {
    scenario,
    weir: `${Math.round(ns)} ns of CPU a decision`,
    beside: "",
    figure: micros(ns / 1000),
    target: "under 0.5 us",
    met: ns < 500,
  };
}
