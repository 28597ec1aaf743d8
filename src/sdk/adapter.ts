import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { HoldChange, HoldOutcome } from "./hold.ts";
import type { Host } from "./host.ts";
import type { Charge, Consistency, Grant, LeaseState } from "./limit.ts";
import type { Journal } from "./journal.ts";
import type { LogEntry, Exported } from "./log.ts";
import type { Exposition, MetricGroup, MetricRecorder, MetricSpec } from "./metric.ts";
import type { PolicyStore, PolicyStoreHost } from "./policy-store.ts";
import type { Share, Stake } from "./share.ts";
import type { Span } from "./span.ts";
import type { Verdict } from "./verdict.ts";
import type { Inputs, InputTypes } from "./input.ts";
import type { Outputs, OutputTypes } from "./output.ts";
import type { TableRow } from "./table.ts";
import type { Usage } from "./usage.ts";

/** What an adapter can do for policies. A definition lists its own in `provides`; its instances then have the method of that name. */
export const capabilities = [
  "check",
  "quota",
  "holds",
  "attributes",
  "metrics",
  "logs",
  "spans",
  "journal",
  "table",
] as const;

export type Capability = (typeof capabilities)[number];

/** What the hub hands to an adapter beside the input of one call. */
export interface Call {
  /** Aborted when the call's deadline passes or the instance is closed. The rule's `onError` answers for a call that ignores it. */
  readonly signal: AbortSignal;
}

type Awaitable<T> = T | Promise<T>;

/** The method behind each capability. A method answers with a value; what it throws is a fault and becomes the rule's `onError`. */
export interface Methods<I extends Inputs, O extends Outputs = Outputs> {
  /** Judges one request. `input` holds what the policy's `with:` gave, already of the declared types. */
  check(input: InputTypes<I>, call: Call): Awaitable<Verdict>;
  /**
   * Takes from several limits at once, all or nothing: when one charge is refused, none is spent. Answers one grant a
   * charge, in order.
   */
  quota(charges: readonly Charge[], call: Call): Awaitable<readonly Grant[]>;
  /**
   * For adapters that provide `quota`: changes what was taken with a `hold`, whichever instance on the same store took
   * it. Answers for each change, in order, what became of the charges that it found; nothing where none is held any
   * more.
   */
  holds(changes: readonly HoldChange[], call: Call): Awaitable<readonly (readonly HoldOutcome[])[]>;
  /**
   * Says what is known of a request beside what it brought: values of the declared `outputs`, for the attributes that
   * weir.yaml makes of them. Asked for every request that a rule may read them of, checks and reports, so it answers at
   * once, of what it holds in memory. `undefined` where it knows nothing. What it throws, or a value of another type, is a
   * fault of each attribute made of it: no rule that reads one is opened by it.
   */
  attributes(input: InputTypes<I>): OutputTypes<O> | undefined;
  /** Prepares the recording of metrics that share their labels; called once for each such group when a policy set is loaded. */
  metrics(group: MetricGroup): MetricRecorder;
  /**
   * What the table says of a key: at once, of what it holds in memory, the same object for the same limit. `undefined`
   * where it says nothing of it.
   */
  table(key: string): TableRow | undefined;
  /** Delivers a batch of log entries, in order. */
  logs(entries: readonly LogEntry[], call: Call): Awaitable<Exported>;
  /** Delivers a batch of spans that have ended, in the order in which they were reported. */
  spans(spans: readonly Span[], call: Call): Awaitable<Exported>;
  /** The journal of the instance, the same each time: `telemetry.buffer` in weir.yaml names the instance that has it. */
  journal(): Journal;
}

/**
 * The methods of an instance: those of the capabilities that its adapter declares. Where it is not known which those
 * are (`Adapter` without type arguments), each method may be missing.
 */
type Provided<P extends Capability, I extends Inputs, O extends Outputs> = [Capability] extends [P]
  ? Partial<Methods<I, O>>
  : Pick<Methods<I, O>, P>;

/** The running form of an adapter: one for each entry under `adapters:` in `weir.yaml`. */
export type Instance<
  P extends Capability = Capability,
  I extends Inputs = Inputs,
  O extends Outputs = Outputs,
> = Provided<P, I, O> & {
  /**
   * For `quota`: gives units back, because a limit kept by another adapter refused the same request, or because a caller
   * says that it did not use what it took. `amount` says how many; a limit never holds more than nothing was taken of it.
   * The `dedupId` and the `hold` of a charge are forgotten. Without this method such units stay spent: a request may be refused too much,
   * never admitted too much.
   */
  refund?(charges: readonly Charge[], call: Call): Awaitable<void>;
  /**
   * For `quota`: the answer where it can be given without asking a backend, else `undefined`, with nothing taken. Asked
   * before `quota`, also while the instance is left alone because its backend fails. Without this method each charge
   * goes to `quota`.
   */
  atHand?(charges: readonly Charge[]): readonly Grant[] | undefined;
  /**
   * How long the hub waits for the answer to one call, in milliseconds, where that is less than `check.adapterTimeout` of
   * weir.yaml. An answer that comes later is still of use: what it says was taken is given back, or counted as taken.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * For `quota`: how many hubs share the store, this one included, as it was last seen; `undefined` before it was. A
   * limit with `onError: local` is counted by one over that many while the store is away. Called for decisions: it must
   * return at once.
   */
  peers?(): number | undefined;
  /**
   * For `quota`: answers what a hub may use of budgets that it divides among proxies by itself, one share a stake, in
   * order. Over all members the shares that are out never add up to more than the budget: what a member was answered, or
   * holds by its own word, counts until it has asked again or its `ttlMs` have passed. By need they are divided by
   * max-min fairness. Without this method each hub has the whole budget.
   */
  apportion?(stakes: readonly Stake[], call: Call): Awaitable<readonly Share[]>;
  /** For `quota`: what `weir limits` asks. Without it limits are listed and looked at, and nothing else. */
  usage?: Usage;
  /** For `quota` with `consistencies`: what is held of limits that are answered from units taken ahead, for `/metrics`. */
  leases?(): Iterable<LeaseState>;
  /**
   * For `metrics` that are pushed: resolves when all that was recorded until now has been taken, or given up for good, with
   * the next export that is due, or with one that begins at once. It waits for as long as that takes, and rejects when the
   * instance is closed before. With it, a buffer (`telemetry.buffer`) keeps samples until they are exported, and
   * brings those again that a hub which was killed or stopped had not exported; without it they are recorded when their
   * report is taken. A hub that stops does not wait for it while {@link unready} gives a reason.
   */
  exported?(options: { readonly atOnce: boolean }): Promise<void>;
  /**
   * For `metrics`: how many samples were recorded that nobody outside has yet, neither in a whole scrape nor in an export
   * that was taken; at most so many end with the process. Asked many times a second: it only looks. Without it what a hub
   * that was killed has lost of them is not counted (`telemetry.ledger`).
   */
  unexported?(): number;
  /** For adapters that are scraped: everything recorded, shown on the admin listener's `/metrics`. */
  expose?(exposition: Exposition): AsyncIterable<string> | Iterable<string>;
  /**
   * Why the instance cannot serve at the moment, or `undefined` when it can, as far as is known. Asked often: it only
   * looks. With `required: true` it keeps the hub from being ready. An instance that is left alone since its calls failed
   * is tried again once there is no reason any more. That entries or spans are not taken is known without.
   */
  unready?(): string | undefined;
  /** Flushes and lets go of what it holds. Called once, after the last call has returned. */
  close?(): Awaitable<void>;
};

/** What is wrong with a configuration, or with a file that it names. */
export interface ConfigIssue {
  readonly message: string;
  /** Where in the configuration it is said, such as `["file"]`. */
  readonly path?: readonly PropertyKey[] | undefined;
  /** Where in a file it is: then that is shown in place of the configuration. */
  readonly at?: FilePlace | undefined;
}

/** A place in a file: line and column from 1, in UTF-16 code units. */
export interface FilePlace {
  /** Path of the file, absolute. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** How many characters are meant. Default 1. */
  readonly length?: number | undefined;
  /** The whole line, to be shown. */
  readonly text?: string | undefined;
}

/** How an instance shows a metric to those who scrape it. */
export interface ShownMetric {
  /** On the admin listener's page (`expose`), rather than on one of the instance's own. */
  readonly onAdminPage: boolean;
  /** The names of its series, in every format. */
  readonly names: readonly string[];
}

/**
 * An adapter: a plain value that says what it can do, which configuration it takes and how an instance of it is made.
 *
 * The hub keeps the life of an instance: the configuration is validated before `create`; `create` is called once; an
 * instance stays over a reload that does not change its configuration; `close` is called once, after the last call.
 * When `create` throws, a start is refused and a reload leaves everything as it was.
 */
export interface Adapter<
  P extends Capability = Capability,
  I extends Inputs = Inputs,
  C extends StandardSchemaV1 = StandardSchemaV1,
  O extends Outputs = Outputs,
> {
  /** The name that `adapter:` in `weir.yaml` takes: lower case letters, digits and dashes. */
  readonly name: string;
  /** One line for listings. */
  readonly description?: string;
  readonly provides: readonly P[];
  /** For `quota`: which counts it keeps beside `exact` ones. Default: none; a policy that asks for another is refused. */
  readonly consistencies?: readonly Exclude<Consistency, "exact">[];
  /** For `check` and `attributes`: what a policy, or weir.yaml, must hand over under `with:`, by name. */
  readonly input?: I;
  /** For `attributes`: what it may know of a request, by name. */
  readonly outputs?: O;
  /** Any Standard Schema (zod, valibot, arktype ...). Unknown keys should be refused: `z.strictObject`. */
  readonly config: C;
  /**
   * Reads the files that a valid configuration names, and answers what is wrong with them: for `weir validate` and the
   * start, which show it at its place. It makes no instance and connects to nothing. `folder` is the one that relative
   * paths are meant from. A reload does not ask: what changes in such files is the instance's own to take up.
   */
  inspect?(config: StandardSchemaV1.InferOutput<C>, folder: string): Awaitable<readonly ConfigIssue[]>;
  /**
   * For `metrics` that are scraped: under which names an instance shows the series of a metric, and whether on the admin
   * listener's page, which it shares with others and with the hub's own metrics. Policies in which two metrics of one page
   * would show the same name are refused.
   */
  shown?(config: StandardSchemaV1.InferOutput<C>, metric: Pick<MetricSpec, "name" | "kind">): ShownMetric;
  /** Makes an instance from a configuration that is valid and has its defaults. */
  create(config: StandardSchemaV1.InferOutput<C>, host: Host): Awaitable<Instance<P, I, O>>;
  /**
   * Opens the store of pushed policies, for `policies: { from: NAME }` of weir.yaml. It comes before all instances, and
   * stays while the process lives. A store that is away is opened all the same.
   */
  policyStore?(config: StandardSchemaV1.InferOutput<C>, host: PolicyStoreHost): Promise<PolicyStore>;
}

/**
 * Defines an adapter. Returns its argument: the function is there for the types, which make an adapter that declares
 * one capability and offers another, or reads an input it did not declare, fail to compile.
 */
export function defineAdapter<
  const P extends Capability,
  const I extends Inputs = Record<never, never>,
  C extends StandardSchemaV1 = StandardSchemaV1,
  const O extends Outputs = Record<never, never>,
>(adapter: Adapter<P, I, C, O>): Adapter<P, I, C, O> {
  return adapter;
}
