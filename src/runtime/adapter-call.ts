import type {
  Call,
  Charge,
  Grant,
  HoldChange,
  HoldOutcome,
  Instance,
  Log,
  Share,
  Stake,
  Verdict,
} from "../sdk/index.ts";
import { Members, type Placed } from "../util/members.ts";
import type { Observer } from "../util/observer.ts";
import { saysReady } from "../util/says-ready.ts";
import { seldom } from "../util/seldom.ts";
import type { Timers } from "../util/timers.ts";
import type { CallTrace } from "./call-trace.ts";
import { apportioning, charging, checking, holding, judged, refunding, type Use } from "./capability-use.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import type { BreakerOptions } from "./circuit-breaker.ts";
import { Failure } from "./failure.ts";

export interface AdapterCallOptions {
  /** The instance's name in `weir.yaml`. */
  readonly name: string;
  readonly instance: Instance;
  /** How long a call may take, in milliseconds. */
  readonly timeoutMs: () => number;
  /** How many calls may wait for the instance at once. Default 1,000. */
  readonly maxWaiting?: number;
  readonly breaker?: BreakerOptions;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  readonly timers: Timers;
}

/**
 * The time of a call by the monotonic clock. Who makes the call has read the clock, and need not read it again after it:
 * readings are a good part of what a limit in memory costs.
 */
export interface CallTime {
  readonly startMs: number;
  /** Set by the call where an answer came at once, and was none of {@link Failure}. */
  endMs: number | undefined;
}

/** Until when an answer is of use. Read only where an answer is waited for: of some callers it takes two clocks. */
export interface Deadline {
  /** Milliseconds since 1970. */
  readonly deadlineMs?: number | undefined;
}

/** The signal of a call, made only when the adapter looks at it. */
class LazyCall implements Call, Placed {
  place = -1;
  #controller: AbortController | undefined;
  #reason: unknown;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/**
 * Calls one instance: with a deadline, a bound on the calls under way and a circuit breaker, so that an adapter that is
 * slow or broken holds up nobody else's requests. An answer that comes at once is passed on at once, without timer and
 * promise. A call never throws: what goes wrong is a {@link Failure}.
 *
 * A call counts as under way until the adapter's promise settles, even after its deadline: an adapter that ignores its
 * signal cannot pile up work. A throw before any promise is a fault of this one request and no sign of a broken
 * backend, so it does not count towards the breaker: no caller's input can open it for others.
 */
export class AdapterCalls {
  readonly #options: AdapterCallOptions;
  readonly #maxWaiting: number;
  readonly #breaker: CircuitBreaker;
  readonly #waiting = new Members<LazyCall>();
  readonly #whenIdle: (() => void)[] = [];
  readonly #mayTell: ReturnType<typeof seldom>;
  /** Whether the log says that it fails. */
  #failing = false;

  constructor(options: AdapterCallOptions) {
    this.#options = options;
    this.#maxWaiting = options.maxWaiting ?? 1000;
    this.#breaker = new CircuitBreaker(options.monotonic, options.breaker, () => saysReady(options.instance));
    this.#mayTell = seldom(options.monotonic);
  }

  get name(): string {
    return this.#options.name;
  }

  get canRefund(): boolean {
    return this.#options.instance.refund !== undefined;
  }

  get canHold(): boolean {
    return this.#options.instance.holds !== undefined;
  }

  /** How many hubs share what is behind the instance, as far as it knows. */
  get peers(): number | undefined {
    const peers = this.#options.instance.peers?.();
    return peers === undefined || !(peers >= 1) ? undefined : Math.floor(peers);
  }

  /** Whether it failed so often that the next call is refused without being made. */
  get isLeftAlone(): boolean {
    return this.#breaker.isOpen;
  }

  /** Asks for a verdict. A deadline shortens the time that the call may take. */
  check(input: object, deadline?: Deadline, trace?: CallTrace): Verdict | Failure | Promise<Verdict | Failure> {
    if (trace !== undefined) return trace.call(this.name, "check", () => this.#run(checking, input, deadline));
    return this.#run(checking, input, deadline);
  }

  /** Takes from limits, all or nothing. */
  quota(
    charges: readonly Charge[],
    deadline?: Deadline,
    trace?: CallTrace,
    time?: CallTime,
  ): readonly Grant[] | Failure | Promise<readonly Grant[] | Failure> {
    if (trace !== undefined) return trace.call(this.name, "quota", () => this.quota(charges, deadline));
    if (this.#options.instance.atHand !== undefined) {
      const grants = this.#quotaAtHand(charges, time);
      if (grants !== undefined) return grants;
    }
    return this.#run(charging, charges, deadline, time);
  }

  /** Gives back. What cannot be given back is counted, so nobody has to wait for the promise. It never rejects. */
  refund(charges: readonly Charge[]): void | Promise<void> {
    const { observer, instance } = this.#options;
    if (instance.refund === undefined) {
      observer.dropped("refund", "not_supported", charges.length);
      return undefined;
    }
    const ended = (answer: true | Failure): void => {
      if (answer !== true) observer.dropped("refund", answer.kind, charges.length);
    };
    const answer = this.#run(refunding, charges);
    return answer instanceof Promise ? answer.then(ended) : ended(answer);
  }

  /** Changes what decisions took; answers for each change what became of it. */
  holds(
    changes: readonly HoldChange[],
  ): readonly (readonly HoldOutcome[])[] | Failure | Promise<readonly (readonly HoldOutcome[])[] | Failure> {
    return this.#run(holding, changes);
  }

  get canApportion(): boolean {
    return this.#options.instance.apportion !== undefined;
  }

  /** Asks for shares of budgets. */
  apportion(stakes: readonly Stake[]): readonly Share[] | Failure | Promise<readonly Share[] | Failure> {
    return this.#run(apportioning, stakes);
  }

  /** Resolves when no call is under way. */
  idle(): Promise<void> {
    return this.#waiting.size === 0 ? Promise.resolve() : new Promise((done) => this.#whenIdle.push(done));
  }

  /** Aborts the calls under way. */
  abort(reason: unknown): void {
    for (const call of this.#waiting) call.abort(reason);
  }

  /** What the instance says by itself tells nothing of its backend: the breaker neither hinders it nor hears of it. */
  #quotaAtHand(charges: readonly Charge[], time?: CallTime): readonly Grant[] | Failure | undefined {
    const { name, instance, observer, monotonic } = this.#options;
    const start = time?.startMs ?? monotonic();
    try {
      const grants = instance.atHand!(charges);
      if (grants === undefined) return undefined;
      const answer = judged(charging, charges, grants);
      if (answer instanceof Failure) return this.#ended(charging.capability, answer, monotonic() - start);
      const end = monotonic();
      if (time !== undefined) time.endMs = end;
      observer.adapterCall(name, charging.capability, "ok", end - start);
      return answer;
    } catch (error) {
      return this.#ended(charging.capability, new Failure("fault", error), monotonic() - start);
    }
  }

  #run<A, T>(use: Use<A, T>, asked: A, deadline?: Deadline, time?: CallTime): T | Failure | Promise<T | Failure> {
    const { instance, monotonic } = this.#options;
    const { capability } = use;
    if (this.#waiting.size >= this.#maxWaiting) return this.#ended(capability, new Failure("busy"), 0);
    if (!this.#breaker.admits()) return this.#ended(capability, new Failure("open"), 0);
    const call = new LazyCall();
    const start = time?.startMs ?? monotonic();
    let answer: T | Promise<T>;
    try {
      answer = use.ask(instance, asked, call);
    } catch (error) {
      this.#breaker.done(true);
      return this.#ended(capability, new Failure("fault", error), monotonic() - start);
    }
    if (isPromise(answer)) return this.#wait(use, asked, answer, call, start, deadline?.deadlineMs);
    this.#breaker.done(true);
    const result = judged(use, asked, answer);
    const end = monotonic();
    if (time !== undefined && !(result instanceof Failure)) time.endMs = end;
    return this.#ended(capability, result, end - start);
  }

  #wait<A, T>(
    use: Use<A, T>,
    asked: A,
    answer: Promise<T>,
    call: LazyCall,
    start: number,
    deadlineMs: number | undefined,
  ): Promise<T | Failure> {
    const { timers, now, monotonic, timeoutMs } = this.#options;
    this.#waiting.add(call);
    return new Promise((resolve) => {
      let open = true;
      const end = (result: T | Failure): void => {
        if (!open) return;
        open = false;
        cancel();
        // A caller with little patience says nothing of the adapter.
        if (hurried && result instanceof Failure && result.kind === "timeout") this.#breaker.abstain();
        else this.#breaker.done(!(result instanceof Failure));
        resolve(this.#ended(use.capability, result, monotonic() - start));
      };
      const patienceMs = deadlineMs === undefined ? Infinity : Math.max(0, deadlineMs - now());
      const hurried = patienceMs < timeoutMs();
      const allowedMs = hurried ? patienceMs : timeoutMs();
      const cancel = timers.after(allowedMs, () => {
        const error = new Error(`no answer within ${allowedMs} ms`);
        end(new Failure("timeout", error, answered));
        call.abort(error);
      });
      const answered = Promise.resolve(answer).then(
        (value) => judged(use, asked, value),
        (error: unknown) => new Failure("fault", error),
      );
      void answered.then(end).finally(() => {
        this.#waiting.delete(call);
        if (this.#waiting.size === 0) for (const done of this.#whenIdle.splice(0)) done();
      });
    });
  }

  #ended<T>(capability: string, result: T | Failure, ms: number): T | Failure {
    const { name, observer, log } = this.#options;
    if (!(result instanceof Failure)) {
      observer.adapterCall(name, capability, "ok", ms);
      if (this.#failing) {
        this.#failing = false;
        log.info({ adapter: name }, "the adapter answers again");
      }
      return result;
    }
    observer.adapterCall(name, capability, result.kind, ms);
    // One line for each time that it begins to fail, not one for each request, and few of one that fails now and then.
    const notLogged = this.#failing ? undefined : this.#mayTell("failing");
    if (notLogged !== undefined) {
      this.#failing = true;
      const { kind: failure, error } = result;
      // Where time was up, no place in the program says more.
      const why = failure === "timeout" && error instanceof Error ? { reason: error.message } : { err: error };
      log.warn(
        {
          ...{ code: "WEIR_ADAPTER_FAILED", adapter: name, capability, failure, ...why },
          ...(notLogged > 0 && { notLogged }),
        },
        "the adapter does not answer",
      );
    }
    return result;
  }
}

/** Also another realm's or library's promise. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
