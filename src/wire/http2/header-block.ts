import { ConnectionError, errorCode } from "./frame.ts";

/** A header block may come in parts; it has no more bytes and parts than these (CVE-2024-27316). */
const maxBytes = 32 * 1024;
const maxParts = 64;

const nothing = Buffer.alloc(0);

/** A header block that comes in a HEADERS frame and CONTINUATION frames, between which no other may come. */
export class HeaderBlock {
  id = 0;
  endStream = false;
  isOpen = false;
  #bytes = nothing;
  #parts = 0;

  get heldBytes(): number {
    return this.#bytes.length;
  }

  begin(id: number, endStream: boolean, part: Uint8Array): void {
    this.id = id;
    this.endStream = endStream;
    this.isOpen = true;
    this.#parts = 0;
    this.add(part);
  }

  /** Adds a part. Throws a {@link ConnectionError} when there are too many. */
  add(part: Uint8Array): void {
    if (++this.#parts > maxParts || this.#bytes.length + part.length > maxBytes) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "a header block that does not end");
    }
    this.#bytes = Buffer.concat([this.#bytes, part]);
  }

  /** The whole block. */
  take(): Buffer {
    const bytes = this.#bytes;
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#bytes = nothing;
    this.isOpen = false;
  }
}
