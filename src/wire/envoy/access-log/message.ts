import { malformed, type Reader } from "../../protobuf/reader.ts";
import { PartCache } from "../part-cache.ts";
import { readProxy, type Proxy } from "./proxy.ts";

/** The most entries of one message: beyond it a small message would keep the hub busy for long. */
export const maxEntries = 65_536;

/** How many writers are known by the bytes in which they say who they are: a stream that is opened anew says the same again. */
const knownProxies = 256;

/** An envoy.service.accesslog.v3.StreamAccessLogsMessage, used again for the next. */
export class LogMessage {
  /** How many entries there are; where each begins and ends in the message, and whether it is one of TCP. */
  count = 0;
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly isTcp: boolean[] = [];
  /** Entries beyond {@link maxEntries}, which are not read. */
  tooMany = 0;
  /** Who writes, where the message says so: the first of a stream does. */
  proxy: Proxy | undefined;
  readonly #proxies = new PartCache(readProxy, knownProxies);

  /**
   * Reads the message that fills the reader; the entries are left as bytes. `view` shows the whole memory of its buffer. Throws a
   * `WeirError` where it is malformed.
   */
  read(reader: Reader, view: DataView): void {
    // The lists keep their length: one that is cut gives its memory back, and is to grow anew each time.
    this.count = 0;
    this.tooMany = 0;
    this.proxy = undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
        reader.skip(tag);
        continue;
      }
      const { end } = reader;
      const stop = reader.delimited();
      if (tag === 0x0a) {
        this.proxy = this.#proxies.of(reader, view, reader.buffer.byteOffset, reader.pos, stop);
        reader.pos = stop;
      } else {
        reader.end = stop;
        this.#readEntries(reader, tag === 0x1a);
        if (reader.pos !== stop) throw malformed("a part is longer than it says", reader.pos);
      }
      reader.end = end;
    }
  }

  #readEntries(reader: Reader, isTcp: boolean): void {
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      const stop = reader.delimited();
      if (this.count === maxEntries) this.tooMany++;
      else {
        const at = this.count++;
        this.starts[at] = reader.pos;
        this.ends[at] = stop;
        this.isTcp[at] = isTcp;
      }
      reader.pos = stop;
    }
  }
}
