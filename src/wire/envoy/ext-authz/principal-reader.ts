import { KeyTable } from "../../key-table.ts";
import { sameBytes, viewOf } from "../../mixer/word-hash.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { jwtFilter } from "../token.ts";

const filters = new KeyTable([jwtFilter]);
const claims = new KeyTable(["iss", "sub"]);

/** That metadata must be read as a whole. */
export const unusual = Symbol("unusual");

/** The tags of an entry of a map, and of a google.protobuf.Value that is a struct or a text. */
const entryTag = 0x0a;
const structTag = 0x2a;
const textTag = 0x1a;

/** Longer principals are made of two texts. */
const maxBytes = 256;
const slash = 0x2f;

/**
 * Reads `request.auth.principal` out of Envoy's metadata without reading the rest of the token: the usual case, where
 * one provider verified one token and rules ask for nothing but who it is about.
 */
export class PrincipalReader {
  readonly #cache: WordCache;
  readonly #pair = new Pair();
  /** The last principal, of which the next most often has the issuer. */
  readonly #bytes = Buffer.alloc(maxBytes);
  readonly #bytesView = viewOf(this.#bytes);
  #issuerLength = 0;

  constructor(cache: WordCache) {
    this.#cache = cache;
  }

  /**
   * The principal in the Metadata that fills the reader's part: `undefined` where there is none, {@link unusual} where
   * the metadata is not of the usual form and must be read as a whole. `view` shows the whole memory of the reader's
   * buffer, which begins there at `offset`. The reader is left anywhere.
   */
  read(reader: Reader, view: DataView, offset: number): string | undefined | typeof unusual {
    const pair = this.#pair;
    let start = -1;
    let end = -1;
    while (reader.more) {
      const tag = reader.field();
      if (tag !== entryTag) {
        reader.pass(tag);
        continue;
      }
      pair.read(reader, reader.valueEnd);
      if (filters.find(view, offset + pair.keyStart, offset + pair.keyEnd) < 0) continue;
      if (start >= 0) return unusual;
      start = pair.valueStart;
      end = pair.valueEnd;
    }
    if (start < 0) return undefined;
    reader.pos = start;
    reader.end = end;
    if (!reader.more) return undefined;
    if (reader.field() !== entryTag) return unusual;
    pair.read(reader, reader.valueEnd);
    // Several fields are several tokens, or a token and its headers.
    if (reader.more || pair.valueStart === pair.valueEnd) return unusual;
    reader.pos = pair.valueStart;
    reader.end = pair.valueEnd;
    if (reader.field() !== structTag || reader.valueEnd !== reader.end) return unusual;
    return this.#claims(reader, view, offset);
  }

  #claims(reader: Reader, view: DataView, offset: number): string | undefined | typeof unusual {
    const pair = this.#pair;
    const { end } = reader;
    let issuer = 0;
    let issuerEnd = 0;
    let subject = 0;
    let subjectEnd = 0;
    for (;;) {
      reader.pos = claims.skipOthers(view, offset + reader.pos, offset + end, entryTag) - offset;
      if (!reader.more) break;
      const tag = reader.field();
      if (tag !== entryTag) {
        reader.pass(tag);
        continue;
      }
      const stop = reader.valueEnd;
      pair.read(reader, stop);
      const claim = claims.find(view, offset + pair.keyStart, offset + pair.keyEnd);
      if (claim < 0) continue;
      reader.pos = pair.valueStart;
      reader.end = pair.valueEnd;
      if (!reader.more || reader.field() !== textTag || reader.valueEnd !== reader.end) return unusual;
      if (claim === 0) [issuer, issuerEnd] = [reader.pos, reader.end];
      else [subject, subjectEnd] = [reader.pos, reader.end];
      reader.pos = stop;
      reader.end = end;
    }
    if (issuer === issuerEnd || subject === subjectEnd) return undefined;
    return this.#principal(reader.buffer, view, offset, issuer, issuerEnd, subject, subjectEnd);
  }

  /** `ISSUER/SUBJECT`: put together as bytes, so that one text is looked for and the usual one made once. */
  #principal(
    buffer: Buffer,
    view: DataView,
    offset: number,
    issuer: number,
    issuerEnd: number,
    subject: number,
    subjectEnd: number,
  ): string {
    const issuerLength = issuerEnd - issuer;
    const length = issuerLength + 1 + subjectEnd - subject;
    if (length > maxBytes) {
      return `${buffer.toString("utf8", issuer, issuerEnd)}/${buffer.toString("utf8", subject, subjectEnd)}`;
    }
    const bytes = this.#bytes;
    const bytesView = this.#bytesView;
    if (this.#issuerLength !== issuerLength || !sameBytes(view, offset + issuer, offset + issuerEnd, bytesView, 0)) {
      buffer.copy(bytes, 0, issuer, issuerEnd);
      bytes[issuerLength] = slash;
      this.#issuerLength = issuerLength;
    }
    for (let i = subject, k = issuerLength + 1; i < subjectEnd; i++, k++) bytes[k] = buffer[i]!;
    return this.#cache.text(bytes, bytesView, 0, length);
  }
}
