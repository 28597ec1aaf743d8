import type { Bag } from "../../../attributes/bag.ts";
import { Duration } from "../../../attributes/duration.ts";
import { Timestamp } from "../../../attributes/timestamp.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { FieldIndex, want } from "../../protobuf/field-index.ts";
import { Reader } from "../../protobuf/reader.ts";
import type { EntryFields } from "./entry-fields.ts";
import { momentOf, type Moment } from "./moment.ts";
import { SecondsAndNanos } from "../../protobuf/seconds-and-nanos.ts";

const nothing: Buffer = Buffer.alloc(0);
const nowhere = new DataView(new ArrayBuffer(0));

/** Where the fields of an entry's messages lie, for the layout that asks for them. */
export class EntryIndex {
  readonly common: FieldIndex;
  readonly request: FieldIndex;
  readonly response: FieldIndex;

  constructor(fields: EntryFields) {
    this.common = new FieldIndex(fields.common);
    this.request = new FieldIndex(fields.request);
    this.response = new FieldIndex(fields.response);
  }
}

/**
 * One entry of an access log as it lies in its message: `envoy.data.accesslog.v3.HTTPAccessLogEntry` or
 * `TCPAccessLogEntry`. Made once and read again for each entry; what its methods read of it throws a `WeirError` where
 * it is malformed.
 */
export class Entry {
  buffer: Buffer = nothing;
  /** Shows the whole memory that the buffer is a part of. */
  view: DataView = nowhere;
  /** Where the buffer begins in it. */
  offset = 0;
  readonly reader = new Reader();
  readonly words = new WordCache();
  isTcp = false;
  moment: Moment = "end";
  /** Bytes of a connection up to this entry; 0 for a request. */
  receivedBytes = 0;
  sentBytes = 0;
  /** When the request or connection began, in epoch milliseconds; 0 when it is not said. */
  startMs = 0;

  /** The fields of AccessLogCommon. */
  common = new FieldIndex({});
  /** The fields of HTTPRequestProperties and HTTPResponseProperties: read when the attributes of HTTP are. */
  request = this.common;
  response = this.common;
  readonly http = new FieldIndex({ 1: want.delimited, 2: want.varint, 3: want.delimited, 4: want.delimited });
  /** An entry of any map: key and value. */
  readonly pair = new FieldIndex({ 1: want.delimited, 2: want.delimited });
  readonly #tcp = new FieldIndex({ 1: want.delimited, 2: want.delimited });
  readonly #bytes = new FieldIndex({ 1: want.varint, 2: want.varint });
  #startSeconds = 0;
  #startNanos = 0;
  readonly #span = new SecondsAndNanos();

  /** Says what message the next entries lie in, and by what they are looked at. */
  begin(index: EntryIndex, buffer: Buffer, view: DataView): void {
    ({ common: this.common, request: this.request, response: this.response } = index);
    this.buffer = buffer;
    this.view = view;
    this.offset = buffer.byteOffset;
    this.reader.reset(buffer);
  }

  /** Reads the entry between two positions of the message, as far as what both kinds have. */
  read(start: number, end: number, isTcp: boolean): void {
    const { common, reader } = this;
    const outer = isTcp ? this.#tcp : this.http;
    outer.read(reader, start, end);
    if (outer.has(1)) common.read(reader, outer.start(1), outer.end(1));
    else common.clear();
    this.isTcp = isTcp;
    this.moment = momentOf(this.number(common, 33), this.number(common, 27) !== 0, common.has(23));
    this.#readStart();
    this.receivedBytes = 0;
    this.sentBytes = 0;
    if (!isTcp || !outer.has(2)) return;
    this.#bytes.read(reader, outer.start(2), outer.end(2));
    this.receivedBytes = this.number(this.#bytes, 1);
    this.sentBytes = this.number(this.#bytes, 2);
  }

  /** The `stream_id`; where it has none, the entry's addresses and when it began. */
  get id(): string {
    const { common } = this;
    if (common.has(26)) return this.text(common, 26);
    const parts = [this.#latin1(20), this.#latin1(2), this.#latin1(3), this.#startSeconds, this.#startNanos];
    return parts.join("\n");
  }

  /**
   * What tells a request from others. Its `stream_id` is what it bears as `x-request-id`, which a caller may choose and which
   * requests may share; so beside it stand the connection's peer and when the request began.
   */
  get requestId(): string {
    return `${this.#latin1(26)}\n${this.#latin1(20)}\n${this.#startSeconds}\n${this.#startNanos}`;
  }

  /** When the request or connection began; `undefined` when it is not said. */
  get start(): Timestamp | undefined {
    return this.common.has(5) ? Timestamp.of(this.#startSeconds, this.#startNanos) : undefined;
  }

  /** How long the request or connection took, from its first byte to its end. */
  get duration(): Duration | undefined {
    const field = this.#wholeField;
    if (field === 0) return undefined;
    this.#readSpan(field);
    return Duration.of(this.#span.seconds, this.#span.nanos);
  }

  /** When it ended; while it lasts, when the entry was written, as far as that is said. */
  get end(): Timestamp | undefined {
    const field = this.#wholeField;
    return field === 0 ? this.start : this.after(field);
  }

  /** The moment that a field of AccessLogCommon says by what has passed since the start. */
  after(field: number): Timestamp | undefined {
    if (!this.common.has(5) || !this.common.has(field)) return undefined;
    this.#readSpan(field);
    const nanos = this.#startNanos + this.#span.nanos;
    const carry = Math.floor(nanos / 1e9);
    return Timestamp.of(this.#startSeconds + this.#span.seconds + carry, nanos - carry * 1e9);
  }

  /** What lies between the moments that two fields of AccessLogCommon say. */
  between(first: number, last: number): Duration | undefined {
    if (!this.common.has(first) || !this.common.has(last)) return undefined;
    this.#readSpan(first);
    const seconds = this.#span.seconds;
    const nanos = this.#span.nanos;
    this.#readSpan(last);
    const ms = (this.#span.seconds - seconds) * 1000 + (this.#span.nanos - nanos) / 1e6;
    return ms < 0 ? undefined : Duration.fromMs(ms);
  }

  /** Text; `""` when it did not come. */
  text(index: FieldIndex, field: number): string {
    return index.has(field) ? this.words.text(this.buffer, this.view, index.start(field), index.end(field)) : "";
  }

  /** Puts a text that came into a slot. The empty text is what proto3 does not send: it says that there is none. */
  put(bag: Bag, slot: number, index: FieldIndex, field: number): void {
    if (slot < 0 || !index.has(field)) return;
    const text = this.text(index, field);
    if (text !== "") bag.set(slot, text);
  }

  /** A varint, 0 when it did not come; above 2^53 it is rounded. */
  number(index: FieldIndex, field: number): number {
    if (!index.has(field)) return 0;
    const { buffer } = this;
    const start = index.start(field);
    // The index has seen that it ends within its message. Most have one byte, many two.
    const low = buffer[start]!;
    if (low < 0x80) return low;
    const high = buffer[start + 1]!;
    if (high < 0x80) return (low & 0x7f) | (high << 7);
    const { reader } = this;
    reader.pos = start;
    reader.end = buffer.length;
    return Number(reader.int64());
  }

  /** The value of a google.protobuf.UInt32Value. */
  wrapped(index: FieldIndex, field: number): number {
    const reader = this.at(index, field);
    let value = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) value = reader.uint32();
      else reader.skip(tag);
    }
    return value;
  }

  /** The reader, narrowed to the value of a field that came. */
  at(index: FieldIndex, field: number): Reader {
    const { reader } = this;
    reader.pos = index.start(field);
    reader.end = index.end(field);
    return reader;
  }

  /** Reads an entry of a map into {@link Entry.pair}, from where it was found among the repeated fields of a message. */
  readPair(repeated: readonly number[], at: number): FieldIndex {
    this.pair.read(this.reader, repeated[at + 1]!, repeated[at + 2]!);
    return this.pair;
  }

  /** The bytes of a field of AccessLogCommon as Latin-1, so that each counts, also where they are a message. */
  #latin1(field: number): string {
    const { common } = this;
    return common.has(field) ? this.buffer.toString("latin1", common.start(field), common.end(field)) : "";
  }

  /** The field that says how long it took from the first byte to the last: `duration`, else the last byte down, else up; or 0. */
  get #wholeField(): number {
    const { common } = this;
    return common.has(23) ? 23 : common.has(12) ? 12 : common.has(10) ? 10 : 0;
  }

  #readStart(): void {
    this.#span.seconds = this.#span.nanos = 0;
    if (this.common.has(5)) this.#readSpan(5);
    this.#startSeconds = this.#span.seconds;
    this.#startNanos = this.#span.nanos;
    this.startMs = this.#span.seconds * 1000 + this.#span.nanos / 1e6;
  }

  /** Reads a Timestamp or a Duration. */
  #readSpan(field: number): void {
    this.#span.read(this.at(this.common, field));
  }
}
