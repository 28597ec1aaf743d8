import { KeyTable } from "../../key-table.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import { Reader } from "../../protobuf/reader.ts";
import { jwtFilter } from "../token.ts";

const filters = new KeyTable([jwtFilter]);
const claims = new KeyTable(["iss", "sub"]);

/** That metadata must be read as a whole. */
export const unusual = Symbol("unusual");

/** The tags of a google.protobuf.Value that is a struct or a text. */
const structTag = 0x2a;
const textTag = 0x1a;

/**
 * Reads `request.auth.principal` out of Envoy's metadata without reading the rest of the token: the usual case, where
 * one provider verified one token and rules ask for nothing but who it is about.
 */
export class PrincipalReader {
  readonly #cache: WordCache;
  readonly #pair = new Pair();
  readonly #reader = new Reader();

  constructor(cache: WordCache) {
    this.#cache = cache;
  }

  /**
   * The principal in the Metadata between two positions of a buffer, whose whole memory `view` shows: `undefined` where
   * there is none, {@link unusual} where the metadata is not of the usual form and must be read as a whole.
   */
  read(buffer: Buffer, view: DataView, start: number, end: number): string | undefined | typeof unusual {
    const reader = this.#reader.reset(buffer, start, end);
    const pair = this.#pair;
    let provider: readonly [number, number] | undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      pair.read(reader);
      const base = buffer.byteOffset;
      if (filters.find(view, base + pair.keyStart, base + pair.keyEnd) < 0) continue;
      if (provider !== undefined) return unusual;
      provider = [pair.valueStart, pair.valueEnd];
    }
    if (provider === undefined) return undefined;
    reader.reset(buffer, ...provider);
    if (!reader.more) return undefined;
    if (reader.tag() !== 0x0a) return unusual;
    pair.read(reader);
    // Several fields are several tokens, or a token and its headers.
    if (reader.more || pair.valueStart === pair.valueEnd) return unusual;
    reader.reset(buffer, pair.valueStart, pair.valueEnd);
    if (reader.tag() !== structTag) return unusual;
    const stop = reader.delimited();
    if (stop !== pair.valueEnd) return unusual;
    return this.#claims(reader, view);
  }

  #claims(reader: Reader, view: DataView): string | undefined | typeof unusual {
    const { buffer } = reader;
    const base = buffer.byteOffset;
    const pair = this.#pair;
    let issuer = "";
    let subject = "";
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      pair.read(reader);
      const claim = claims.find(view, base + pair.keyStart, base + pair.keyEnd);
      if (claim < 0) continue;
      const { pos, end } = reader;
      reader.reset(buffer, pair.valueStart, pair.valueEnd);
      if (!reader.more || reader.tag() !== textTag) return unusual;
      const stop = reader.delimited();
      if (stop !== pair.valueEnd) return unusual;
      const text = this.#cache.text(buffer, view, reader.pos, stop);
      if (claim === 0) issuer = text;
      else subject = text;
      reader.reset(buffer, pos, end);
    }
    return issuer === "" || subject === "" ? undefined : `${issuer}/${subject}`;
  }
}
