import { WeirError } from "../../../util/weir-error.ts";
import type { Reader } from "../../protobuf/reader.ts";

/** The most descriptors of one request: each of them is judged by itself. */
const maxDescriptors = 128;

/** An envoy.service.ratelimit.v3.RateLimitRequest; its parts are left as bytes. One is kept and read into again. */
export class RateLimitRequest {
  /** Where the domain begins and ends. */
  domainStart = 0;
  domainEnd = 0;
  /** Hits of descriptors that say none themselves; 0 when it was not said. */
  hits = 0;
  /** How many descriptors there are, and where each begins and ends. */
  count = 0;
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  /** Reads the message that fills the reader. Throws a `WeirError` where it is none, or asks for nothing or too much. */
  read(reader: Reader): this {
    this.domainStart = this.domainEnd = 0;
    this.hits = 0;
    const { starts, ends } = this;
    let count = 0;
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          this.domainEnd = reader.delimited();
          this.domainStart = reader.pos;
          reader.pos = this.domainEnd;
          break;
        case 0x12: {
          const stop = reader.delimited();
          if (count === maxDescriptors) throw wrong(`a request has at most ${maxDescriptors} descriptors`);
          starts[count] = reader.pos;
          ends[count++] = stop;
          reader.pos = stop;
          break;
        }
        case 0x18:
          this.hits = reader.uint32();
          break;
        default:
          reader.skip(tag);
      }
    }
    this.count = count;
    if (this.domainStart === this.domainEnd) throw wrong("rate limit domain must not be empty");
    if (count === 0) throw wrong("rate limit descriptor list must not be empty");
    return this;
  }
}

/** What cannot be asked. */
export function wrong(message: string): WeirError {
  return new WeirError("WEIR_REQUEST_DESCRIPTORS", message);
}
