import type { CredentialState } from "../listen/credentials.ts";
import type { AdapterEntry, Snapshot } from "../policy/snapshot.ts";
import type { LimitDesk } from "../runtime/limits/limit-desk.ts";
import type { Instance } from "../sdk/index.ts";
import type { DecisionRecord } from "../telemetry/decisions/decision-log.ts";
import type { GraphView } from "../telemetry/graph/service-graph.ts";
import type { LedgerView } from "../telemetry/ledger/ledger.ts";
import type { ExpositionFormat } from "../util/exposition.ts";

/** What the console sees of the hub. Everything is read when somebody asks; nothing but `limits` changes anything. */
export interface HubView {
  /** Weir's own version. */
  readonly version: string;
  /** When the process began to serve, milliseconds since 1970. */
  readonly startedMs: number;
  /** Where each listener listens, by its name: `{ grpc: "127.0.0.1:9091" }`. */
  listeners(): Readonly<Record<string, string>>;
  /** How the certificates and tokens of the listeners are. */
  credentials(): readonly CredentialState[];
  /** The policy set that serves, or `undefined` while none does. */
  loaded(): LoadedPolicies | undefined;
  /** The last attempt to load policies, or `undefined` before the first has ended. */
  lastReload(): ReloadView | undefined;
  /** The adapter instances that serve. */
  adapters(): readonly AdapterView[];
  /** What the processes before this one lost, or `undefined` where `telemetry.ledger` names no file. */
  ledger(): LedgerView | undefined;
  /** Who calls whom, or `undefined` where `telemetry.graph` is off. */
  graph(): GraphView | undefined;
  /** What can be seen of limits and changed in their counts. */
  readonly limits: LimitsView;
  /** The last refusals, the latest first. */
  refusals(): readonly DecisionRecord[];
  /** Whether the hub is on its way down. */
  draining(): boolean;
  /** The hub's own metrics in pieces, without the closing `# EOF` of OpenMetrics. */
  metrics(format: ExpositionFormat): AsyncIterable<string>;
}

export type LimitsView = LimitDesk;

export type LoadedPolicies = Pick<Snapshot, "version" | "policies" | "checks" | "reports">;

export interface ReloadView {
  readonly ok: boolean;
  readonly timeMs: number;
  /** What was wrong, each as `weir validate` prints it. Empty when it went well. */
  readonly problems: readonly string[];
}

/** One running adapter instance, and what `weir.yaml` says of it. Its configuration is shown with secrets masked. */
export interface AdapterView {
  readonly entry: Pick<AdapterEntry, "name" | "adapter" | "config" | "required">;
  readonly instance: Pick<Instance, "expose" | "unready">;
  /** Why it does not take what it is to export, while that is offered again. */
  readonly undelivered?: string | undefined;
}
