import { type Bench, typicalAnswer } from "./bench.ts";
import { cpu, doubts, median, ratio, throughput } from "./figures.ts";
import type { TargetResult } from "./load.ts";
import { tenRules, tenThousandRules } from "./policies.ts";
import type { CheckOptions } from "./requests.ts";
import { micros, rate, type Row } from "./table.ts";
import { connections, messages, proveRules, seed, target } from "./varied-load.ts";

/** Pairs of hubs; odd, so that the median is one of them. */
const pairs = 3;

const options: CheckOptions = { seed, count: messages, services: 1000, users: 5000 };

/** A hub with 10,000 rules, and what it is measured against: one with 10. */
interface Pair {
  readonly many: TargetResult;
  readonly few: TargetResult;
}

/**
 * One row: 10,000 rules against 10. Two starts of one build differ by some percent for good, as compiler and memory
 * happen to fall out; therefore several pairs of hubs are started, one after the other.
 */
export async function manyRules(bench: Bench): Promise<Row[]> {
  const measured: Pair[] = [];
  for (let i = 0; i < pairs; i++) {
    measured.push(await measurePair(bench, i % 2 === 0));
    await bench.stopAll();
  }
  const ofAll = (of: (pair: Pair) => number): number => median(measured.map(of));
  const shares = measured.map(({ many, few }) => ratio(many, few));
  const share = median(shares);
  const [least, most] = [Math.min(...shares).toFixed(2), Math.max(...shares).toFixed(2)];
  return [
    {
      scenario: "Check, 10,000 rules over 1,000 services",
      weir: `${rate(ofAll(({ many }) => throughput(many)))}, ${micros(ofAll(({ many }) => cpu(many)))}`,
      beside: `${rate(ofAll(({ few }) => throughput(few)))}, ${micros(ofAll(({ few }) => cpu(few)))} with 10 rules`,
      figure: `${share.toFixed(2)} of it (${least} to ${most})`,
      target: "at least 0.90",
      met: share >= 0.9,
      notes: [
        `The median of ${pairs} pairs of hubs, each started anew; in brackets the least and the most that a pair reached.`,
        ...measured.flatMap(({ many, few }) => doubts([many, few])),
      ],
    },
  ];
}

async function measurePair(bench: Bench, manyFirst: boolean): Promise<Pair> {
  const first = await start(bench, manyFirst);
  const second = await start(bench, !manyFirst);
  const { targets } = await bench.load({
    messages: { check: options },
    expect: "allow",
    targets: [first, second],
    connections,
    inFlight: 32,
    ...bench.pace,
    rounds: Math.ceil(bench.pace.rounds / 2),
    aloneMs: 0,
  });
  const [a, b] = targets as [TargetResult, TargetResult];
  return manyFirst ? { many: a, few: b } : { many: b, few: a };
}

async function start(bench: Bench, isMany: boolean) {
  const hub = await bench.hub(isMany ? tenThousandRules : tenRules);
  await typicalAnswer(hub, options);
  await proveRules(bench, hub, options);
  return target(isMany ? "weir with 10,000 rules" : "weir with 10 rules", hub);
}
