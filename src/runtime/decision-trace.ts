import type { Bag } from "../attributes/bag.ts";
import { readTraceContext, traceFormats, type TraceContext } from "../attributes/trace-context.ts";
import { TraceReader } from "../attributes/trace-reader.ts";
import type { Layout } from "../attributes/layout.ts";
import type { TraceSettings } from "../policy/config/settings.ts";
import type { JsonValue, Span } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import { SpanRate } from "../util/span-rate.ts";
import type { TraceIds } from "../util/trace-ids.ts";
import { inTraceShare } from "../util/trace-share.ts";
import type { CallTrace } from "./call-trace.ts";
import { Failure } from "./failure.ts";
import type { Decision } from "./decision.ts";
import { codes } from "./refusal.ts";

/** Where the trace context of a call may be read: what carried it, such as the metadata of a gRPC call. */
export interface TraceCarrier {
  /** The first value of a header, by its name in lower case. */
  header(name: string): string | undefined;
}

export interface TracerOptions {
  readonly settings: TraceSettings;
  /** The layout of the bags that are judged. */
  readonly layout: Layout;
  readonly ids: TraceIds;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  readonly observer: Observer;
  /** Takes a span that has ended. Never throws. */
  readonly send: (span: Span) => void;
}

/** Who the hub's own spans are of. */
const service = { name: "weir" };

/** What decisions have in common that a trace tells of. */
type Decided = Pick<Decision, "id" | "version" | "allowed" | "code" | "rules" | "observed">;

/** Begins the traces of decisions: of those of which the caller wants one, else of a share. */
export class Tracer {
  readonly #options: TracerOptions;
  readonly #reader: TraceReader;
  readonly #rate: SpanRate;

  constructor(options: TracerOptions) {
    this.#options = options;
    this.#rate = new SpanRate(options.settings.perSecond);
    this.#reader = new TraceReader(options.layout, traceFormats);
  }

  /**
   * The trace of a decision that begins; `undefined` where it is not to be kept. The context of the call counts before
   * that of the request which is judged: it is the nearer one.
   */
  begin(carrier: TraceCarrier | undefined, bag: Bag | undefined): DecisionTrace | undefined {
    const { settings, ids, observer, now } = this.#options;
    const context =
      (carrier && readTraceContext((name) => carrier.header(name), traceFormats)) ?? (bag && this.#reader.read(bag));
    const traceId = context?.ids?.trace ?? ids.trace();
    const decided = settings.follow ? context?.sampled : undefined;
    if (!(decided ?? inTraceShare(traceId, settings.ratio))) return undefined;
    if (this.#rate.take(now())) return new DecisionTrace(this.#options, traceId, context);
    observer.dropped("span", "rate", 1);
    return undefined;
  }
}

/**
 * The spans of one decision: the whole, judging the rules, charging the limits, and each call to an adapter below one of
 * those. Rules are judged until the first limit is charged.
 */
export class DecisionTrace implements CallTrace {
  readonly #options: TracerOptions;
  readonly #traceId: string;
  readonly #context: TraceContext | undefined;
  readonly #id: string;
  readonly #rulesId: string;
  /** Milliseconds since 1970 at the moment 0 of the monotonic clock. */
  readonly #zeroMs: number;
  readonly #start: number;
  #limits: { readonly id: string; readonly start: number } | undefined;

  constructor(options: TracerOptions, traceId: string, context: TraceContext | undefined) {
    this.#options = options;
    this.#traceId = traceId;
    this.#context = context;
    this.#id = options.ids.span();
    this.#rulesId = options.ids.span();
    this.#start = options.monotonic();
    this.#zeroMs = options.now() - this.#start;
  }

  /** Asks an adapter, and makes a span of it. */
  call<T>(adapter: string, capability: string, ask: () => T | Promise<T>): T | Promise<T> {
    const { ids, monotonic } = this.#options;
    const start = monotonic();
    const isQuota = capability === "quota";
    if (isQuota) this.#limits ??= { id: ids.span(), start };
    const parentId = isQuota ? this.#limits!.id : this.#rulesId;
    const ended = (answer: T): T => {
      const failure = answer instanceof Failure ? answer.kind : undefined;
      this.#send({
        name: `${adapter} ${capability}`,
        kind: "client",
        spanId: ids.span(),
        parentId,
        start,
        attributes: {
          "weir.adapter": adapter,
          "weir.capability": capability,
          ...(failure && { "error.type": failure }),
        },
        ...(failure !== undefined && { message: failure }),
      });
      return answer;
    };
    const answer = ask();
    return answer instanceof Promise ? answer.then(ended) : ended(answer);
  }

  /** Ends the trace with what was decided. `name` says what was asked: `check`, or `rate limit`. */
  end(name: string, { id, version, allowed, code, rules, observed }: Decided): void {
    const { monotonic } = this.#options;
    const end = monotonic();
    this.#send({
      name: "rules",
      kind: "internal",
      spanId: this.#rulesId,
      parentId: this.#id,
      start: this.#start,
      end: this.#limits?.start ?? end,
    });
    if (this.#limits !== undefined) {
      this.#send({
        name: "limits",
        kind: "internal",
        spanId: this.#limits.id,
        parentId: this.#id,
        start: this.#limits.start,
        end,
      });
    }
    this.#send({
      name,
      kind: "server",
      spanId: this.#id,
      parentId: this.#context?.ids?.span,
      start: this.#start,
      end,
      attributes: {
        "weir.decision_id": id,
        "weir.policy_version": version,
        "weir.allowed": allowed,
        "weir.code": code,
        ...(rules.length > 0 && { "weir.rules": rules }),
        ...(observed.length > 0 && { "weir.observed": observed }),
      },
      // A refusal is an answer; a hub that could not judge has failed.
      ...(code === codes.unavailable && { message: "the request could not be judged" }),
    });
  }

  #send(part: {
    readonly name: string;
    readonly kind: Span["kind"];
    readonly spanId: string;
    readonly parentId: string | undefined;
    readonly start: number;
    readonly end?: number;
    readonly attributes?: Readonly<Record<string, JsonValue>>;
    readonly message?: string;
  }): void {
    const { send, monotonic } = this.#options;
    const state = this.#context?.state;
    const { name, kind, spanId, parentId, start, end = monotonic(), attributes = {}, message } = part;
    send({
      traceId: this.#traceId,
      spanId,
      ...(parentId !== undefined && { parentId }),
      ...(state !== undefined && { traceState: state }),
      name,
      kind,
      startMs: this.#zeroMs + start,
      endMs: this.#zeroMs + end,
      failed: message !== undefined,
      ...(message !== undefined && { message }),
      service,
      attributes,
    });
  }
}
