import type { DoorSettings } from "../../../policy/schema/doors.ts";
import type { Decision } from "../../../runtime/decision.ts";
import type { Observer } from "../../../util/observer.ts";
import { headerChanges } from "../../header-changes.ts";
import { Writer } from "../../protobuf/writer.ts";
import { degradedRules, type Field, rateLimitFields } from "../../rate-limit-fields.ts";
import { httpStatusOf } from "../../status.ts";
import { writeDecisionMetadata } from "../decision-metadata.ts";
import { headersAmong, pathOf } from "./http-fields.ts";
import { queryChanges, type QueryChanges } from "./query-changes.ts";

/** What of the request has a say in how it is answered. */
export interface Asker {
  readonly isHttp: boolean;
  readonly isGrpc: boolean;
}

/** The answer of a plain pass, in which only the decision's id differs from one to the next. */
interface Pass {
  readonly version: string;
  readonly isHttp: boolean;
  readonly bytes: Buffer;
  /** Where the id stands. */
  readonly at: number;
  /** The answer again and again: those before `next` were given away. */
  copies: Buffer<ArrayBuffer>;
  /** The memory of `copies`, which is all of it: to ask a buffer for it costs a call. */
  memory: ArrayBuffer;
  next: number;
}

/** Copies of an answer are made at once for so many bytes: as much as Node's own pool of small buffers has. */
const copiesBytes = 8192;

/**
 * Writes decisions as envoy.service.auth.v3.CheckResponse. Both `append`, which older releases of Envoy look at, and
 * `append_action` are written.
 */
export class CheckAnswers {
  readonly #writer = new Writer();
  readonly #observer: Observer;
  #pass: Pass | undefined;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** The answer to `message`, a CheckRequest. */
  answer(decision: Decision, asker: Asker, settings: DoorSettings, message: Buffer): Uint8Array {
    const fields = rateLimitFields(decision.limits, settings.rateLimitFields);
    const degraded = degradedRules(decision.limits);
    const isPass = decision.allowed && fields.length === 0 && degraded.length === 0;
    if (isPass && isPlain(decision)) return this.#plainPass(decision, asker.isHttp);
    const writer = this.#writer.reset();
    writeStatus(writer, decision);
    if (asker.isHttp) {
      if (decision.allowed) this.#writePass(decision, fields, message);
      else writeRefusal(writer, decision, fields, asker.isGrpc);
    }
    writeDecisionMetadata(writer, 4, decision, degraded);
    return writer.finish();
  }

  #plainPass(decision: Decision, isHttp: boolean): Uint8Array {
    const { version, id } = decision;
    let pass = this.#pass;
    if (pass?.version !== version || pass.isHttp !== isHttp || id.length !== idLength) {
      const writer = this.#writer.reset();
      writeStatus(writer, decision);
      if (isHttp) writer.close(writer.open(3));
      writeDecisionMetadata(writer, 4, decision);
      const bytes = Buffer.from(writer.finish());
      if (id.length !== idLength) return bytes;
      const at = bytes.indexOf(id, 0, "latin1");
      const copies = copiesOf(bytes);
      this.#pass = pass = { version, isHttp, bytes, at, copies, memory: copies.buffer, next: 0 };
    }
    const { bytes, at } = pass;
    if (pass.next === pass.copies.length) {
      pass.copies = copiesOf(bytes);
      pass.memory = pass.copies.buffer;
      pass.next = 0;
    }
    const { copies, memory, next } = pass;
    pass.next = next + bytes.length;
    copies.write(id, next + at, idLength, "latin1");
    return new Uint8Array(memory, next, bytes.length);
  }

  /** An OkHttpResponse. */
  #writePass({ requestHeaders, responseHeaders, query }: Decision, fields: readonly Field[], message: Buffer): void {
    const writer = this.#writer;
    const response = writer.open(3);
    const request = headerChanges(requestHeaders);
    const appended = [...request].flatMap(([name, { replaces, values }]) =>
      replaces || values.length === 0 ? [] : [name],
    );
    // Older releases append to a header that is there and do nothing where none is.
    const there = appended.length === 0 ? undefined : headersAmong(message, appended);
    for (const [name, { replaces, values }] of request) {
      values.forEach((value, i) => writeHeader(writer, 2, name, value, i > 0 || (!replaces && there!.has(name))));
    }
    for (const [name, { values }] of request) if (values.length === 0) writer.string(5, name);
    for (const [name, value] of fields) {
      // Another filter, or the service, may tell of limits too, and a filter that refuses does so last. The older fields
      // hold one limit, and are left as that wrote them; the others are lists.
      if (name.startsWith("x-ratelimit-")) writeHeaderIfAbsent(writer, 6, name, value);
      else writeHeader(writer, 6, name, value, true);
    }
    let removals = 0;
    for (const [name, { replaces, values }] of headerChanges(responseHeaders)) {
      values.forEach((value, i) => writeHeader(writer, 6, name, value, i > 0 || !replaces));
      // There is no field for it.
      if (values.length === 0) removals++;
    }
    if (query !== undefined) this.#writeQuery(queryChanges(query, pathOf(message)));
    if (removals > 0) this.#observer.dropped("header", "not_carried", removals);
    writer.close(response);
  }

  #writeQuery({ set, remove }: QueryChanges): void {
    for (const [name, value] of set) writeParameter(this.#writer, name, value);
    for (const name of remove) this.#writer.string(8, name);
  }
}

/** A decision's id: 128 bits in hexadecimal. */
const idLength = 32;

function copiesOf(bytes: Buffer): Buffer<ArrayBuffer> {
  const count = Math.max(1, Math.floor(copiesBytes / bytes.length));
  return Buffer.allocUnsafeSlow(count * bytes.length).fill(bytes);
}

function isPlain({ observed, requestHeaders, responseHeaders, query }: Decision): boolean {
  return query === undefined && observed.length === 0 && requestHeaders.length === 0 && responseHeaders.length === 0;
}

/** A google.rpc.Status. A refusal's code is never OK. */
function writeStatus(writer: Writer, { allowed, code, message }: Decision): void {
  const status = writer.open(1);
  if (!allowed) {
    writer.int32(1, code === 0 ? unknownCode : code);
    if (message !== "") writer.string(2, message);
  }
  writer.close(status);
}

const unknownCode = 2;

/** A DeniedHttpResponse. */
function writeRefusal(writer: Writer, decision: Decision, fields: readonly Field[], isGrpc: boolean): void {
  const { code, message, http } = decision;
  const response = writer.open(2);
  const status = writer.open(1);
  writer.uint32(1, http?.status ?? httpStatusOf(code));
  writer.close(status);
  const written = new Set<string>();
  for (const { name, value } of http?.headers ?? []) {
    writeHeader(writer, 2, name, value, written.has(name));
    written.add(name);
  }
  // What the rule says itself goes before what is made here.
  for (const [name, value] of fields) if (!written.has(name)) writeHeader(writer, 2, name, value, false);
  // Envoy makes a gRPC status of the HTTP status unless it is told: a used up limit would be UNAVAILABLE.
  if (isGrpc && !written.has("grpc-status")) writeHeader(writer, 2, "grpc-status", String(code), false);
  writer.string(3, http?.body ?? message);
  writer.close(response);
}

/** A QueryParameter to be set. */
function writeParameter(writer: Writer, name: string, value: string): void {
  const parameter = writer.open(7);
  writer.string(1, name);
  if (value !== "") writer.string(2, value);
  writer.close(parameter);
}

/** HeaderValueOption.HeaderAppendAction. The default, 0, appends. */
const addIfAbsent = 1;
const overwriteIfExistsOrAdd = 2;

/** A HeaderValueOption. */
function writeHeader(writer: Writer, field: number, name: string, value: string, appends: boolean): void {
  const option = writer.open(field);
  writeHeaderValue(writer, name, value);
  const append = writer.open(2);
  if (appends) writer.bool(1, true);
  writer.close(append);
  if (!appends) writer.uint32(3, overwriteIfExistsOrAdd);
  if (value === "") writer.bool(4, true);
  writer.close(option);
}

/** One of a header that is added where there is none. `append` is left out, since it would go before the action. */
function writeHeaderIfAbsent(writer: Writer, field: number, name: string, value: string): void {
  const option = writer.open(field);
  writeHeaderValue(writer, name, value);
  writer.uint32(3, addIfAbsent);
  writer.close(option);
}

function writeHeaderValue(writer: Writer, name: string, value: string): void {
  const header = writer.open(1);
  writer.string(1, name);
  writer.string(2, value);
  writer.close(header);
}
