import { once } from "node:events";
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import test from "ava";
import { countCpu, cpuBetween, type CpuReading } from "./process-stat.ts";

function reading(ticks: number, threads: Readonly<Record<string, number>> = {}): CpuReading {
  return { ticks, threads: new Map(Object.entries(threads)) };
}

const cases: { name: string; before: CpuReading; after: CpuReading; seconds: number }[] = [
  {
    name: "threads that live are counted to the nanosecond",
    before: reading(1.2, { 1: 1, 2: 0.25 }),
    after: reading(1.2, { 1: 1.000_000_5, 2: 0.25 }),
    seconds: 0.000_000_5,
  },
  {
    name: "a thread that has begun is counted whole",
    before: reading(1, { 1: 1 }),
    after: reading(1.5, { 1: 1.25, 2: 0.25 }),
    seconds: 0.5,
  },
  {
    name: "where a thread has ended the ticks are taken",
    before: reading(2, { 1: 1, 2: 1 }),
    after: reading(3.5, { 1: 1.5 }),
    seconds: 1.5,
  },
  {
    name: "where a thread has begun and ended the ticks are taken",
    before: reading(1, { 1: 1 }),
    after: reading(2.5, { 1: 1.5 }),
    seconds: 1.5,
  },
  {
    name: "ticks that tell of less than the threads do were cut",
    before: reading(1, { 1: 1.015_625 }),
    after: reading(1, { 1: 1.031_25 }),
    seconds: 0.015_625,
  },
  {
    name: "where the kernel counts no threads the ticks are taken",
    before: reading(1),
    after: reading(1.5),
    seconds: 0.5,
  },
];

for (const { name, before, after, seconds } of cases) {
  test(name, (t) => {
    t.true(Math.abs(cpuBetween(before, after) - seconds) < 1e-12);
  });
}

/** A thread that uses CPU until this process has used a fifth of a second of it. */
const burn = `
const start = process.cpuUsage();
for (let used = 0; used < 200_000;) {
  const { user, system } = process.cpuUsage(start);
  used = user + system;
}`;

/** What the clock of a thread that runs lags behind, and what the process does between two clocks. */
const slack = 0.05;

if (existsSync("/proc/self/stat")) {
  test("CPU of this process is what it says itself, also when a thread has ended", async (t) => {
    const own = process.cpuUsage();
    const used = countCpu(process.pid);
    await once(new Worker(burn, { eval: true }), "exit");
    const { user, system } = process.cpuUsage(own);
    const [said, counted] = [(user + system) / 1e6, used()];
    t.true(Math.abs(counted - said) < slack, `${counted} s counted, ${said} s said`);
  });
}

test("of a process that is not there, no CPU is counted", (t) => {
  t.is(countCpu(2 ** 30)(), 0);
});
