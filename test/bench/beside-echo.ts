import type { Bench } from "./bench.ts";
import { cpu, doubts, paired, ratio, throughput } from "./figures.ts";
import type { LoadPlan, TargetResult } from "./load.ts";
import type { Files } from "./policies.ts";
import type { ServerProcess } from "./server-process.ts";
import { micros, rate, type Row } from "./table.ts";
import { connections, target } from "./varied-load.ts";

/** A load that a hub is measured by beside an echo. */
export interface Measured extends Pick<LoadPlan, "messages" | "expect"> {
  readonly files: Files;
  /** Asks a hub whether it judges by its rules, and says a typical answer of it, which the echoes answer with. */
  prove(hub: ServerProcess): Promise<Uint8Array>;
}

/** A hub and an echo that got the same load in turn. */
export interface BesideEcho {
  readonly hub: ServerProcess;
  readonly echo: ServerProcess;
  /** On the hub's own transport. */
  readonly own: readonly [hub: TargetResult, echo: TargetResult];
  /** The hub's doors, and an echo, on plain @grpc/grpc-js. */
  readonly plain: readonly [hub: TargetResult, echo: TargetResult];
}

/** Loads a hub and its echo on the hub's own transport in turn, and then both on plain @grpc/grpc-js. */
export async function loadBesideEcho(bench: Bench, { files, prove, ...plan }: Measured): Promise<BesideEcho> {
  const hub = await bench.hub(files);
  const plainHub = await bench.hubOnGrpcJs(files);
  const answer = await prove(hub);
  await prove(plainHub);
  const echo = await bench.echo("hub", answer);
  const plainEcho = await bench.echo("grpc-js", answer);
  const load = async (a: ServerProcess, b: ServerProcess): Promise<readonly [TargetResult, TargetResult]> => {
    const targets = [target("weir", a), target("echo", b)];
    const loaded = await bench.load({ ...plan, targets, connections, inFlight: 32, ...bench.pace });
    return loaded.targets as [TargetResult, TargetResult];
  };
  const own = await load(hub, echo);
  // One in a million calls has no answer from @grpc/grpc-js' server, the echo too: its load is then begun anew, once.
  const plain = await load(plainHub, plainEcho).catch(() => load(plainHub, plainEcho));
  return { hub, echo, own, plain };
}

/** Two rows: throughput and CPU of the hub beside an echo on its own transport, and what they should be. */
export function besideEcho(
  scenario: string,
  [w, e]: BesideEcho["own"],
  target: { readonly share: number; readonly extraUs: number },
): Row[] {
  const share = ratio(w, e);
  const extra = paired(w, e, (x, y) => (x.serverCpu / x.answered - y.serverCpu / y.answered) * 1e6);
  return [
    {
      scenario,
      weir: rate(throughput(w)),
      beside: `${rate(throughput(e))} echo, same transport`,
      figure: `${share.toFixed(2)} of the echo`,
      target: `at least ${target.share.toFixed(2)}`,
      met: share >= target.share,
      notes: doubts([w, e]),
    },
    {
      scenario: "the same: server CPU a call",
      weir: micros(cpu(w)),
      beside: `${micros(cpu(e))} echo`,
      figure: `${micros(extra)} above the echo`,
      target: `at most ${target.extraUs} us`,
      met: extra <= target.extraUs,
    },
  ];
}

/** One row: the hub's doors beside an echo, both on plain @grpc/grpc-js, the transport for which the share was set. */
export function besidePlainEcho([w, e]: BesideEcho["plain"], share: number): Row {
  const reached = ratio(w, e);
  return {
    scenario: "the same doors on plain @grpc/grpc-js: throughput",
    weir: `${rate(throughput(w))}, ${micros(cpu(w))}`,
    beside: `${rate(throughput(e))}, ${micros(cpu(e))} echo there`,
    figure: `${reached.toFixed(2)} of the echo there`,
    target: `at least ${share.toFixed(2)}`,
    met: reached >= share,
    notes: doubts([w, e]),
  };
}

export function latencyAlone([w, e]: BesideEcho["own"]): Row {
  const alone = ({ alone }: TargetResult): string => `${micros(alone!.p50)} / ${micros(alone!.p99)}`;
  return {
    scenario: "the same: latency, one in flight, p50 / p99",
    weir: alone(w),
    beside: `${alone(e)} echo`,
    figure: "",
    target: "",
  };
}
