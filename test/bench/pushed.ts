import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { natsConfig } from "../../adapters/nats/config.ts";
import { openPolicyStore } from "../../adapters/nats/policy-store.ts";
import { push } from "../../src/policy/pushed/pushing.ts";
import { setOf, type PushedSet } from "../../src/policy/pushed/pushed-set.ts";
import { rollOut } from "../../src/policy/pushed/rollout.ts";
import type { PolicyStore } from "../../src/sdk/index.ts";
import { systemTimers } from "../../src/util/timers.ts";
import { startNats } from "../adapters/nats-server.ts";
import { expectations } from "./accept.ts";
import { median } from "./figures.ts";
import { openLoad } from "./load-generator.ts";
import { thousandRules } from "./policies.ts";
import { prepareCall } from "./prepared.ts";
import { countCpu, secondsWithoutCore } from "./process-stat.ts";
import { checkRequests } from "./requests.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { silentLog } from "./silent.ts";
import { rate, type Row } from "./table.ts";

const hubCount = 5;
const pushes = 10;
const targetMs = 1000;
/** How often each hub is asked by which version it decides. */
const askMs = 10;
/** How long a hub may take before the run is given up. */
const patienceMs = 20_000;
const burst = { calls: 20, everyMs: 10 };

const monotonic = (): number => performance.now();

/** How long after a push the last of several hubs decides by it, while one of them is under load. */
export async function pushedPolicies(): Promise<Row[]> {
  const scenario = `Push of 1,000 rules over NATS to ${hubCount} hubs on this machine, one of them under load: until the last of them decides by it`;
  const empty = { weir: "", beside: "", figure: "", target: "" };
  const nats = await startNats();
  if ("gap" in nats) return [{ scenario, ...empty, figure: `nats-server is not here: ${nats.gap}` }];
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-push-"));
  const hubs: ServerProcess[] = [];
  const store = await openPolicyStore(natsConfig.parse({ servers: nats.url }), {
    name: "nats",
    folder,
    log: silentLog,
  });
  try {
    await push(store, roundSet(0), Date.now);
    hubs.push(
      ...(await Promise.all(Array.from({ length: hubCount }, (_, i) => startHub(join(folder, `${i}`), nats.url)))),
    );
    const load = await startLoad(hubs[0]!.ready["grpc"]!);
    const idle = hubs.slice(1);
    const used = idle.map(({ pid }) => countCpu(pid));
    const rounds: PushTimes[] = [];
    for (let round = 1; round <= pushes; round++) {
      rounds.push(await pushOnce(store, roundSet(round), hubs));
      await setTimeout(200);
    }
    const cpuMs = (used.reduce((sum, seconds) => sum + seconds(), 0) * 1000) / idle.length / pushes;
    const { answered, failed, failure, seconds } = await load.stop();
    if (failed > 0) throw new Error(`${failed} of ${answered} calls failed; the first: ${failure}`);
    const last = rounds.map(({ decidedMs }) => Math.max(...decidedMs));
    const withCore = rounds.map(({ withCoreMs }) => Math.max(...withCoreMs));
    // Hubs of a fleet do not wait for each other's work.
    const worst = Math.max(...withCore);
    return [
      {
        scenario,
        weir: `${spread(last)}, of ${pushes} pushes; none of ${answered.toLocaleString("en-US")} calls failed, at ${rate(answered / seconds)}`,
        beside: `${spread(rounds.map(({ heardMs }) => heardMs))} until who pushes has heard of all`,
        figure: `${spread(withCore)} were no hub without a core`,
        target: "under 1 s",
        met: worst < targetMs,
        notes: [
          `${hubCount} hubs share the machine's cores, where a fleet's do not: the figure leaves out the time in which a hub was ready to run and others had the cores. A push took ${Math.round(cpuMs)} ms of CPU of a hub without load.`,
        ],
      },
    ];
  } finally {
    await store.close();
    await Promise.all(hubs.map((hub) => hub.stop()));
    await nats.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `p50 180 ms, at most 240 ms` */
function spread(times: readonly number[]): string {
  return `p50 ${Math.round(median(times))} ms, at most ${Math.round(Math.max(...times))} ms`;
}

/** A thousand rules, and a file that makes them another set in each round. */
function roundSet(round: number): PushedSet {
  const own = `policy: round\ncheck:\n  - { name: it, deny: not_found, when: request.url_path == "/round/${round}" }\n`;
  return setOf([...thousandRules, ["round.yaml", own] as const].map(([path, text]) => ({ path, text })));
}

async function startHub(folder: string, nats: string): Promise<ServerProcess> {
  mkdirSync(folder);
  const config = join(folder, "weir.yaml");
  writeFileSync(config, `policies: { from: nats }\nadapters: { nats: { servers: "${nats}" } }\n`);
  const any = "127.0.0.1:0";
  const listen = ["--grpc", any, "--http", any, "--admin", any, "--json-ready"];
  return startServer(
    [join(import.meta.dirname, "../../src/main.js"), "serve", "--config", config, ...listen],
    "anyCore",
  );
}

interface PushTimes {
  /** Of each hub, from the change until it decided by the set; and the same without the time in which it had no core. */
  readonly decidedMs: readonly number[];
  readonly withCoreMs: readonly number[];
  /** Until each had said so to who pushed. */
  readonly heardMs: number;
}

/** Pushes a set, and takes the time until every hub decides by it. */
async function pushOnce(store: PolicyStore, set: PushedSet, hubs: readonly ServerProcess[]): Promise<PushTimes> {
  let changeMs = 0;
  const without = new Map<number, number>();
  const withoutCoreMs = ({ pid }: ServerProcess): number => (secondsWithoutCore(pid) ?? 0) * 1000;
  const endMs = monotonic() + patienceMs;
  const decided = Promise.all(
    hubs.map(async (hub) => {
      while ((await versionOf(hub)) !== set.version) {
        if (monotonic() > endMs) throw new Error("a hub does not take what was pushed");
        await setTimeout(askMs);
      }
      const decidedMs = monotonic() - changeMs;
      return { decidedMs, withCoreMs: decidedMs - (withoutCoreMs(hub) - without.get(hub.pid)!) };
    }),
  );
  const timed = {
    ...store,
    replace(bytes: Uint8Array, revision: number) {
      for (const hub of hubs) without.set(hub.pid, withoutCoreMs(hub));
      changeMs = monotonic();
      return store.replace(bytes, revision);
    },
  };
  const rollout = rollOut(timed, (changed) => push(changed, set, Date.now), {
    ...{ waitMs: patienceMs, monotonic, timers: systemTimers },
    moved: () => undefined,
    told: () => undefined,
  });
  const [times, { hubs: outcomes }] = await Promise.all([decided, rollout]);
  const serving = outcomes.filter((outcome) => outcome.kind === "serves");
  if (serving.length !== hubs.length) throw new Error(`${serving.length} hubs say that they serve what was pushed`);
  return {
    decidedMs: times.map(({ decidedMs }) => decidedMs),
    withCoreMs: times.map(({ withCoreMs }) => withCoreMs),
    heardMs: Math.max(...serving.map(({ afterMs = 0 }) => afterMs)),
  };
}

/** The version that a hub decides a request by. */
async function versionOf(hub: ServerProcess): Promise<string> {
  const response = await fetch(`http://${hub.ready["http"]}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"attributes":{"request.path":"/"}}',
  });
  return ((await response.json()) as { version: string }).version;
}

/** Sends checks to a hub in a steady rhythm, each of which must be allowed. */
async function startLoad(address: string) {
  const messages = checkRequests({ seed: 20_260_101, count: burst.calls, services: 100, users: 5000 });
  const calls = messages.map((message) => prepareCall("/istio.mixer.v1.Mixer/Check", message));
  const load = await openLoad({
    address,
    messages: calls,
    connections: 1,
    inFlight: burst.calls,
    accept: expectations.allow,
  });
  let stopped = false;
  const began = monotonic();
  const running = (async () => {
    while (!stopped) await Promise.all([load.runOnce(), setTimeout(burst.everyMs)]);
  })();
  return {
    async stop() {
      stopped = true;
      await running;
      load.close();
      return { ...load.tally, seconds: (monotonic() - began) / 1000 };
    },
  };
}
