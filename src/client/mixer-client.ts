import type { ServiceError } from "@grpc/grpc-js";
import { standardVocabulary } from "../attributes/standard-vocabulary.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import { WeirError } from "../util/weir-error.ts";
import type { CompressedAttributes } from "../wire/gen/istio/mixer/v1/attributes.ts";
import {
  CheckRequest,
  CheckResponse,
  HeaderOperation_Operation as Operation,
  ReferencedAttributes_Condition as Condition,
  ReportRequest,
  ReportRequest_RepeatedAttributesSemantics as Semantics,
  ReportResponse,
  type HeaderOperation as WireHeaderOperation,
  type ReferencedAttributes,
} from "../wire/gen/istio/mixer/v1/mixer.ts";
import { globalIndex, globalWords } from "../wire/mixer/dictionary.ts";
import { compress, type Attributes } from "./attributes.ts";
import { openChannel, type ClientTls } from "./channel.ts";
import { failure } from "./failure.ts";
import {
  msOf,
  overall,
  quotasOf,
  type CheckOptions,
  type CheckResult,
  type HeaderOperation,
  type Referenced,
} from "./result.ts";

export interface ClientOptions {
  /** `host:port` of the hub's gRPC listener. */
  readonly address: string;
  /** Left out: plain text. */
  readonly tls?: ClientTls;
  /** Default: the built-in words. */
  readonly vocabulary?: Vocabulary;
  /** How long a call may take, in milliseconds. Default 5 s. */
  readonly deadlineMs?: number;
}

/** A client of the door `istio.mixer.v1.Mixer`. Calls that fail reject with a `WeirError`. */
export interface Client {
  check(attributes: Attributes, options?: CheckOptions): Promise<CheckResult>;
  /** Reports requests that were served. Rejects with WEIR_REPORT_NOT_TAKEN when some were not taken. */
  report(records: readonly Attributes[]): Promise<void>;
  close(): void;
}

/** Makes a client; it connects with the first call. */
export function createClient(options: ClientOptions): Client {
  const { address, vocabulary = standardVocabulary, deadlineMs = 5000 } = options;
  const client = openChannel(address, options.tls);

  const call = <A, B>(method: string, type: Codec<A>, message: A, answer: Codec<B>): Promise<B> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/istio.mixer.v1.Mixer/${method}`,
        (m: A) => Buffer.from(type.encode(m).finish()),
        (bytes: Buffer) => answer.decode(bytes),
        message,
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, value?: B) => (error === null ? resolve(value!) : reject(failure(address, error))),
      );
    });

  return {
    async check(attributes, asked = {}) {
      const words = new MessageWords();
      const compressed = compress(attributes, vocabulary, words.index);
      const quotas = quotasOf(asked);
      const request: CheckRequest = {
        attributes: { ...compressed, words: words.own },
        globalWordCount: globalWords.length,
        deduplicationId: asked.dedupId ?? "",
        quotas,
      };
      return resultOf(await call("Check", CheckRequest, request, CheckResponse), quotas);
    },
    async report(records) {
      const words = new MessageWords();
      const attributes = records.map((record): CompressedAttributes => {
        return { ...compress(record, vocabulary, words.index), words: [] };
      });
      await call(
        "Report",
        ReportRequest,
        {
          attributes,
          defaultWords: words.own,
          globalWordCount: globalWords.length,
          repeatedAttributesSemantics: Semantics.INDEPENDENT_ENCODING,
        },
        ReportResponse,
      );
    },
    close: () => client.close(),
  };
}

/** A message as generated code has it. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** The words of one message, beside the global ones. */
class MessageWords {
  readonly own: string[] = [];
  readonly #indices = new Map<string, number>();

  readonly index = (word: string): number => {
    const known = globalIndex.get(word) ?? this.#indices.get(word);
    if (known !== undefined) return known;
    const index = -this.own.push(word);
    this.#indices.set(word, index);
    return index;
  };
}

function resultOf({ precondition, quotas }: CheckResponse, asked: ReturnType<typeof quotasOf>): CheckResult {
  if (precondition === undefined) throw new WeirError("WEIR_UNREACHABLE", "the hub answered without a verdict");
  const { status, routeDirective, referencedAttributes } = precondition;
  const granted = new Map(
    Array.from(quotas, ([name, { grantedAmount, validDuration, status: reason }]) => [
      name,
      {
        granted: Number(grantedAmount),
        validForMs: msOf(validDuration),
        code: reason?.code ?? 0,
        message: reason?.message ?? "",
      },
    ]),
  );
  const http =
    routeDirective !== undefined && routeDirective.directResponseCode !== 0
      ? { status: routeDirective.directResponseCode, body: routeDirective.directResponseBody }
      : undefined;
  return {
    ...overall({ code: status?.code ?? 0, message: status?.message ?? "" }, granted, asked),
    rules: [],
    ...(http && { http }),
    requestHeaders: (routeDirective?.requestHeaderOperations ?? []).map(headerOf),
    responseHeaders: (routeDirective?.responseHeaderOperations ?? []).map(headerOf),
    quotas: granted,
    validForMs: msOf(precondition.validDuration),
    validUses: precondition.validUseCount,
    referenced: referencedAttributes === undefined ? [] : referencedOf(referencedAttributes),
  };
}

function headerOf({ name, value, operation }: WireHeaderOperation): HeaderOperation {
  const names = { [Operation.REPLACE]: "set", [Operation.APPEND]: "append", [Operation.REMOVE]: "remove" } as const;
  return { operation: names[operation], name, value };
}

function referencedOf({ words, attributeMatches }: ReferencedAttributes): Referenced[] {
  const wordAt = (index: number) => (index >= 0 ? globalWords[index] : words[-index - 1]) ?? "?";
  return attributeMatches.map(({ name, mapKey, condition }) => ({
    name: wordAt(name),
    ...(mapKey !== 0 && { key: wordAt(mapKey) }),
    condition: condition === Condition.ABSENCE ? "absent" : "present",
  }));
}
