import { standardVocabulary } from "../attributes/standard-vocabulary.ts";
import { systemTimers, type Timers } from "../util/timers.ts";
import { errorCodes, type ErrorCode } from "../util/error-codes.ts";
import { WeirError } from "../util/weir-error.ts";
import {
  CheckRequest,
  CheckResponse,
  ReportRequest,
  ReportRequest_Encoding as Encoding,
  ReportResponse,
  type HoldResponse,
} from "../wire/gen/weir/v1/weir.ts";
import { compress, type Attributes } from "./attributes.ts";
import { openChannel } from "./channel.ts";
import { decisionResult } from "./decision-result.ts";
import type { ClientOptions } from "./mixer-client.ts";
import { Multiplexer } from "./multiplexer.ts";
import { durationOf, msOf, quotasOf, type CheckOptions, type CheckResult } from "./result.ts";
import { HubWords, SentWords } from "./stream-words.ts";

export interface StreamClientOptions extends ClientOptions {
  /** Calls that may wait for their answers at the same time; beyond that they reject with WEIR_CLIENT_BUSY. Default 1,000. */
  readonly maxInFlight?: number;
  readonly timers?: Timers;
}

/** What became of reported records. */
export interface ReportResult {
  readonly taken: number;
  /** How many at the end of the list a full queue kept out: send them again later. */
  readonly notTaken: number;
  /** How many were wrong in themselves, and what was wrong with the first of them. */
  readonly broken: number;
  readonly errors: readonly { readonly position: number; readonly code: string; readonly message: string }[];
}

/** What became of one limit that held something of a decision. */
export interface HeldLimit {
  /** `policy/rule`. */
  readonly rule: string;
  /** Units given back, or of the lease that was renewed. */
  readonly units: number;
  /** Of a renewal: how long the lease lasts now. */
  readonly validForMs?: number;
}

/**
 * A client of the door `weir.v1.Weir`: one stream for checks (and for what changes what they took) and one for reports,
 * shared by all calls, opened when they are first needed and again after they broke. Calls that fail reject with a `WeirError`.
 */
export interface StreamClient {
  check(attributes: Attributes, options?: CheckOptions): Promise<CheckResult>;
  report(records: readonly Attributes[]): Promise<ReportResult>;
  /** Ends the leases of a decision: its request is not at work any more. Rejects with WEIR_NOT_HELD where it has none. */
  release(id: string): Promise<readonly HeldLimit[]>;
  /** Lets the leases of a decision last on, for `ttlMs` from now on; at most, and by default, the `ttl` of each limit. */
  renew(id: string, ttlMs?: number): Promise<readonly HeldLimit[]>;
  /** Gives back what a decision took: of one limit (`policy/rule`) or all, some units of each or all. */
  refund(id: string, what?: { readonly limit?: string; readonly amount?: number }): Promise<readonly HeldLimit[]>;
  /** Rejects what waits, and lets go of the connection. */
  close(): void;
}

/** Makes a client; it connects with the first call. */
export function createStreamClient(options: StreamClientOptions): StreamClient {
  const { address, vocabulary = standardVocabulary, deadlineMs = 5000, maxInFlight = 1000 } = options;
  const timers = options.timers ?? systemTimers;
  const client = openChannel(address, options.tls);
  const shared = { address, client, deadlineMs, maxInFlight, timers };

  const checks = new Multiplexer({
    ...shared,
    path: "/weir.v1.Weir/Check",
    decode: (bytes) => CheckResponse.decode(bytes),
    begin: () => ({ sent: new SentWords(), hub: new HubWords() }),
    onAnswer({ dictionary, error }, { sent, hub }) {
      if (dictionary !== undefined) hub.take(dictionary);
      if (error !== undefined && !holdErrors.has(error.code)) sent.beginAnew();
    },
  });
  const reports = new Multiplexer({
    ...shared,
    path: "/weir.v1.Weir/Report",
    decode: (bytes) => ReportResponse.decode(bytes),
    begin: () => ({ sent: new SentWords() }),
    onAnswer({ error }, { sent }) {
      if (error !== undefined) sent.beginAnew();
    },
  });

  const change = (what: Pick<CheckRequest, "release" | "renew" | "refund">): Promise<readonly HeldLimit[]> =>
    checks.call(
      (index) => CheckRequest.encode(CheckRequest.fromPartial({ index, ...what })).finish(),
      ({ held, error }) => {
        if (error !== undefined) throw refusal(error);
        if (held === undefined) throw new WeirError("WEIR_UNREACHABLE", "the hub answered without saying what it did");
        return held.limits.map(heldLimit);
      },
    );

  return {
    async check(attributes, asked = {}) {
      const quotas = quotasOf(asked);
      return checks.call(
        (index, { sent }) => {
          sent.begin();
          const compressed = compress(attributes, vocabulary, sent.index);
          const dictionary = sent.fresh();
          return CheckRequest.encode({
            index,
            dictionary,
            attributes: compressed,
            quotas,
            deduplicationId: asked.dedupId ?? "",
          }).finish();
        },
        ({ decision, error }, { hub }) => {
          if (error !== undefined) throw refusal(error);
          if (decision === undefined) throw new WeirError("WEIR_UNREACHABLE", "the hub answered without a verdict");
          return decisionResult(decision, hub, quotas);
        },
      );
    },
    async report(records) {
      return reports.call(
        (index, { sent }) => {
          sent.begin();
          const compressed = records.map((record) => compress(record, vocabulary, sent.index));
          const dictionary = sent.fresh();
          return ReportRequest.encode({
            index,
            dictionary,
            records: compressed,
            encoding: Encoding.INDEPENDENT,
          }).finish();
        },
        ({ error, taken, notTaken, broken, errors }) => {
          if (error !== undefined) throw refusal(error);
          return {
            taken,
            notTaken,
            broken,
            errors: errors.map(({ position, error: what }) => ({
              position,
              code: what?.code ?? "",
              message: what?.message ?? "",
            })),
          };
        },
      );
    },
    release: (id) => change({ release: { id } }),
    renew: (id, ttlMs) => change({ renew: { id, ttl: ttlMs === undefined ? undefined : durationOf(ttlMs) } }),
    async refund(id, { limit = "", amount = 0 } = {}) {
      if (!Number.isSafeInteger(amount))
        throw new WeirError("WEIR_REQUEST_MALFORMED", "the amount of a refund is a whole number");
      return change({ refund: { id, limit, amount: BigInt(amount) } });
    },
    close() {
      checks.close();
      reports.close();
      client.close();
    },
  };
}

/** What the hub says of a change whose message it has read, so that it has the words of all that was sent. */
const holdErrors: ReadonlySet<string> = new Set<ErrorCode>(["WEIR_NOT_HELD", "WEIR_ADAPTER_FAILED"]);

/** Why the hub did not do what a message asked. */
function refusal({ code, message }: { readonly code: string; readonly message: string }): WeirError {
  return new WeirError(code in errorCodes ? (code as ErrorCode) : "WEIR_UNREACHABLE", message);
}

function heldLimit({ rule, units, validFor }: HoldResponse["limits"][number]): HeldLimit {
  return validFor === undefined ? { rule, units } : { rule, units, validForMs: msOf(validFor) };
}
