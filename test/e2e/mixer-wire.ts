import type { Client } from "@grpc/grpc-js";
import { CompressedAttributes } from "../../src/wire/gen/istio/mixer/v1/attributes.ts";
import {
  CheckRequest,
  CheckResponse,
  ReportRequest,
  type ReferencedAttributes,
} from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { unary, type Answer } from "./clients.ts";

/**
 * Words of Istio's global dictionary by their published numbers (istio/api, mixer/v1/global_dictionary.yaml), those that
 * these tests use. Written out, so that nothing here rests on the hub's own table.
 */
export const word = {
  "source.ip": 0,
  "source.namespace": 4,
  "source.labels": 5,
  "request.headers": 15,
  "request.path": 17,
  "request.size": 23,
  "request.time": 24,
  "response.duration": 29,
  "response.code": 30,
  "user-agent": 86,
  GET: 90,
  "x-request-id": 102,
  "context.protocol": 131,
  "source.principal": 174,
  "connection.mtls": 177,
  "destination.service.name": 191,
} as const;

export const mixerCheck = "/istio.mixer.v1.Mixer/Check";
export const mixerReport = "/istio.mixer.v1.Mixer/Report";

/** Attributes as a proxy writes them, by numbers: what is left out is empty. */
export interface Wire {
  words?: string[];
  strings?: Record<number, number>;
  int64s?: Record<number, bigint>;
  doubles?: Record<number, number>;
  bools?: Record<number, boolean>;
  durations?: Record<number, { seconds: bigint; nanos: number }>;
  timestamps?: Record<number, { seconds: bigint; nanos: number }>;
  bytes?: Record<number, Uint8Array>;
  stringMaps?: Record<number, Record<number, number>>;
}

function byNumber<T>(entries: Record<number, T> = {}): Map<number, T> {
  return new Map(Object.entries(entries).map(([key, value]) => [Number(key), value as T]));
}

export function attributes(wire: Wire): CompressedAttributes {
  return {
    words: wire.words ?? [],
    strings: byNumber(wire.strings),
    int64s: byNumber(wire.int64s),
    doubles: byNumber(wire.doubles),
    bools: byNumber(wire.bools),
    timestamps: byNumber(wire.timestamps),
    durations: byNumber(wire.durations),
    bytes: byNumber(wire.bytes),
    stringMaps: new Map([...byNumber(wire.stringMaps)].map(([key, entries]) => [key, { entries: byNumber(entries) }])),
  };
}

export interface Asked {
  globalWordCount?: number;
  dedupId?: string;
  quotas?: Record<string, { amount: bigint; bestEffort?: boolean }>;
}

export function checkRequest(wire: Wire, { globalWordCount = 222, dedupId = "", quotas = {} }: Asked = {}): Uint8Array {
  return CheckRequest.encode({
    attributes: attributes(wire),
    globalWordCount,
    deduplicationId: dedupId,
    quotas: new Map(
      Object.entries(quotas).map(([name, { amount, bestEffort = false }]) => [name, { amount, bestEffort }]),
    ),
  }).finish();
}

/** A check whose call has to succeed, and its answer. */
export async function check(client: Client, wire: Wire, asked?: Asked): Promise<CheckResponse> {
  const answer = await unary(client, mixerCheck, checkRequest(wire, asked));
  if (answer.code !== 0) throw new Error(`${answer.code} ${answer.details}`);
  return CheckResponse.decode(answer.bytes);
}

export interface ReportWish {
  globalWordCount?: number;
  defaultWords?: string[];
  independent?: boolean;
}

export function report(client: Client, records: readonly Wire[], wish: ReportWish = {}): Promise<Answer> {
  const { globalWordCount = 222, defaultWords = [], independent = false } = wish;
  const message = ReportRequest.encode({
    attributes: records.map(attributes),
    defaultWords,
    globalWordCount,
    repeatedAttributesSemantics: independent ? 1 : 0,
  });
  return unary(client, mixerReport, message.finish());
}

/** Referenced attributes as sorted texts: `a` present, `-a` absent, `m[k]` a key. Numbers of `known` stay as `#n`. */
export function referenced({ words, attributeMatches }: ReferencedAttributes, known: readonly string[] = []): string[] {
  const text = (index: number) => (index < 0 ? words[-index - 1]! : (known[index] ?? `#${index}`));
  return attributeMatches
    .map(({ name, condition, mapKey }) => {
      const key = mapKey === 0 ? "" : `[${text(mapKey)}]`;
      return `${condition === 1 ? "-" : condition === 2 ? "" : "?"}${text(name)}${key}`;
    })
    .sort();
}
