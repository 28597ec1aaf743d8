import { WeirError } from "../util/weir-error.ts";
import type { HeldBytes, Holder } from "./held-bytes.ts";

/** A flag of one byte and a length of four (https://grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html). */
const headBytes = 5;
/** What is set aside at first for a message that comes in parts; later twice what has come of it. */
const firstBytes = 4096;

const nothing = Buffer.alloc(0);

/**
 * Cuts the bytes of one call into messages, each with its head, as @grpc/grpc-js takes them.
 *
 * A message that comes whole is not copied. What comes in parts is copied into one piece and counted in the
 * {@link HeldBytes} that all calls share, until the call has taken the message. (The decoder of grpc-js keeps each part
 * with the block of memory that it arrived in, for as many calls and connections as there are.)
 */
export class FrameDecoder implements Holder {
  /** Called once when a message is too large, or too much is held: the call must end with this error. */
  onRefused: (error: WeirError) => void = () => undefined;
  readonly #maxBytes: number;
  readonly #held: HeldBytes;
  /** The beginning of a message. */
  #part = nothing;
  #length = 0;
  /** Bytes of messages that are whole and were not taken yet. */
  #waiting = 0;
  #counted = false;
  #closed = false;

  /** `maxBytes` is the largest message taken. */
  constructor(maxBytes: number, held: HeldBytes) {
    this.#maxBytes = maxBytes;
    this.#held = held;
  }

  /** Takes bytes; gives the messages that are whole by now. */
  write(data: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    let at = 0;
    while (at < data.length && !this.#closed) {
      if (this.#length === 0 && data.length - at >= headBytes) {
        const end = at + this.#sizeOf(data, at);
        if (this.#closed) break;
        if (end <= data.length) {
          messages.push(data.subarray(at, end));
          at = end;
          continue;
        }
      }
      at = this.#append(data, at);
      if (this.#length < headBytes || this.#length < this.#sizeOf(this.#part, 0)) continue;
      messages.push(this.#part.subarray(0, this.#length));
      this.#waiting += this.#length;
      this.#part = nothing;
      this.#length = 0;
      this.#count();
    }
    return messages;
  }

  /** Says that the call has taken what was whole. */
  taken(): void {
    if (!this.#counted) return;
    this.#waiting = 0;
    this.#count();
  }

  /** Takes nothing more, and lets go of what is held. */
  close(): void {
    this.#closed = true;
    if (!this.#counted) return;
    this.#drop();
    this.#held.set(this, 0);
  }

  refuse(): void {
    this.#closed = true;
    this.#drop();
    this.onRefused(new WeirError("WEIR_OVERLOADED", "too many messages have begun to come and did not end"));
  }

  /** The length of the message whose head stands at `at`, together with its head. Where it is too large, all ends. */
  #sizeOf(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at + 1);
    if (length > this.#maxBytes) {
      this.close();
      const message = `the message has ${length} bytes, and at most ${this.#maxBytes} are taken`;
      this.onRefused(new WeirError("WEIR_REQUEST_TOO_LARGE", message));
    }
    return headBytes + length;
  }

  /** Copies bytes up to the end of the head, or of the message once its head is there; gives where it stopped. */
  #append(data: Buffer, at: number): number {
    const wanted = this.#length < headBytes ? headBytes : this.#sizeOf(this.#part, 0);
    const length = Math.min(wanted, this.#length + data.length - at);
    if (length > this.#part.length) {
      const room = Math.max(firstBytes, Math.min(wanted, 2 * length));
      const larger = Buffer.allocUnsafeSlow(room);
      this.#part.copy(larger, 0, 0, this.#length);
      this.#part = larger;
    }
    const end = at + length - this.#length;
    data.copy(this.#part, this.#length, at, end);
    this.#length = length;
    this.#count();
    return end;
  }

  #drop(): void {
    this.#part = nothing;
    this.#length = 0;
    this.#waiting = 0;
    this.#counted = false;
  }

  #count(): void {
    const bytes = this.#part.length + this.#waiting;
    this.#counted = bytes > 0;
    this.#held.set(this, bytes);
  }
}
