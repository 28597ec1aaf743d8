/**
 * The load as a process of its own: takes a {@link LoadPlan} as JSON in its one argument, prints a {@link LoadResult} as
 * JSON. Several targets are loaded in turn, slice by slice, so that what else the machine does falls on all alike.
 *
 *     node dist/test/bench/load.js '{"messages": {"check": {...}}, "expect": "allow", "targets": [...], ...}'
 */
import { type Expectation, expectations } from "./accept.ts";
import { type Load, openLoad } from "./load-generator.ts";
import { type AccessLogOptions, accessLogMessages } from "./access-logs.ts";
import { extAuthzPath, extAuthzRequests } from "./ext-authz.ts";
import { type Prepared, prepareCall } from "./prepared.ts";
import { countCpu } from "./process-stat.ts";
import { type RateLimitOptions, rateLimitPath, rateLimitRequests } from "./rate-limit.ts";
import { type CheckOptions, checkRequests, reportRequests, type ReportOptions } from "./requests.ts";

export interface LoadPlan {
  readonly messages:
    | { readonly check: CheckOptions }
    | { readonly extAuthz: CheckOptions }
    | { readonly report: ReportOptions }
    | { readonly accessLog: AccessLogOptions }
    | { readonly rateLimit: RateLimitOptions };
  readonly expect: Expectation;
  readonly targets: readonly { readonly name: string; readonly address: string; readonly pid: number }[];
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly inFlight: number;
  /** How often each target gets a slice of load; 0: every message is sent just once. */
  readonly rounds: number;
  readonly sliceMs: number;
  readonly warmMs: number;
  /** How long to measure one call at a time; 0: not at all. */
  readonly aloneMs: number;
}

export interface Slice {
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
  /** CPU that the server's process used meanwhile; 0 where it cannot be read. */
  readonly serverCpu: number;
  /** CPU that the load itself used meanwhile. */
  readonly loadCpu: number;
}

export interface TargetResult {
  readonly name: string;
  readonly slices: readonly Slice[];
  /** Microseconds, one call in flight. */
  readonly alone: { readonly p50: number; readonly p99: number } | undefined;
  /** Calls in all, warm-up too. */
  readonly answered: number;
  readonly failed: number;
  readonly failure: string | undefined;
}

export interface LoadResult {
  readonly targets: readonly TargetResult[];
}

async function slice(load: Load, pid: number, ms: number): Promise<Slice> {
  const server = countCpu(pid);
  const own = process.cpuUsage();
  const before = load.tally.answered + load.tally.failed;
  const { answered, failed, seconds } = await load.run(ms);
  // The CPU is read after the last answers have come, and is shared out over them too.
  const all = load.tally.answered + load.tally.failed - before;
  const share = all === 0 ? 1 : (answered + failed) / all;
  const { user, system } = process.cpuUsage(own);
  return { answered, failed, seconds, serverCpu: server() * share, loadCpu: ((user + system) / 1e6) * share };
}

function prepare(of: LoadPlan["messages"]): Prepared[] {
  if ("check" in of) return checkRequests(of.check).map((m) => prepareCall("/istio.mixer.v1.Mixer/Check", m));
  if ("extAuthz" in of) return extAuthzRequests(of.extAuthz).map((m) => prepareCall(extAuthzPath, m));
  if ("rateLimit" in of) return rateLimitRequests(of.rateLimit).map((m) => prepareCall(rateLimitPath, m));
  if ("report" in of) return reportRequests(of.report).map((m) => prepareCall("/istio.mixer.v1.Mixer/Report", m));
  const accessLog = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
  return accessLogMessages(of.accessLog).map((m) => prepareCall(accessLog, m));
}

async function run(plan: LoadPlan): Promise<LoadResult> {
  const messages = prepare(plan.messages);
  const accept = expectations[plan.expect];
  const { connections, inFlight } = plan;
  const targets = await Promise.all(
    plan.targets.map(async ({ name, address, pid }) => {
      const load = await openLoad({ address, messages, connections, inFlight, accept });
      return { name, pid, load, slices: [] as Slice[], alone: undefined as TargetResult["alone"] };
    }),
  );
  if (plan.rounds === 0) for (const { load } of targets) await load.runOnce();
  else for (const { load } of targets) await load.run(plan.warmMs);
  for (let round = 0; round < plan.rounds; round++) {
    for (const target of targets) target.slices.push(await slice(target.load, target.pid, plan.sliceMs));
  }
  for (const target of targets) {
    if (plan.aloneMs === 0) continue;
    const times = await target.load.runAlone(plan.aloneMs);
    const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
    target.alone = { p50: at(0.5), p99: at(0.99) };
  }
  for (const { load } of targets) load.close();
  return { targets: targets.map(({ name, slices, alone, load }) => ({ name, slices, alone, ...load.tally })) };
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2]!) as LoadPlan)) + "\n");
