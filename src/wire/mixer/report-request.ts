import { WeirError } from "../../util/weir-error.ts";
import { malformed, type Reader } from "../protobuf/reader.ts";
import type { Words } from "./words.ts";

/** The most records of one report: beyond it a small message would keep the hub busy for long. */
const maxRecords = 65_536;

/** An istio.mixer.v1.ReportRequest, used again for the next. */
export class ReportRequest {
  /** How many records there are, and where each begins and ends in the message. */
  count = 0;
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  globalWordCount = 0;
  /** Whether each record stands for itself, rather than being laid over those before it. */
  isIndependent = false;

  /** Reads a request; the records are left as bytes. `words` gets the default words. Throws a `WeirError`. */
  read(reader: Reader, words: Words): void {
    // The lists keep their length: one that is cut gives its memory back, and is to grow anew each time.
    const { starts, ends } = this;
    let count = 0;
    this.globalWordCount = 0;
    this.isIndependent = false;
    words.reset(reader.buffer);
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a: {
          const stop = reader.delimited();
          if (count === maxRecords) {
            throw new WeirError("WEIR_REQUEST_TOO_LARGE", `a report has at most ${maxRecords} records`);
          }
          starts[count] = reader.pos;
          ends[count++] = stop;
          reader.pos = stop;
          break;
        }
        case 0x12: {
          const stop = reader.delimited();
          words.addBytes(reader.pos, stop);
          reader.pos = stop;
          break;
        }
        case 0x18:
          this.globalWordCount = reader.uint32();
          break;
        case 0x20: {
          const semantics = reader.int32();
          if (semantics !== 0 && semantics !== 1) {
            throw malformed(`repeated_attributes_semantics is 0 or 1, not ${semantics}`, reader.pos);
          }
          this.isIndependent = semantics === 1;
          break;
        }
        default:
          reader.skip(tag);
      }
    }
    this.count = count;
  }
}
