import type { Accept } from "./accept.ts";

/** What is known of the answer to one call. */
export interface Answer {
  /** The message's bytes so far, when they did not come in one frame. */
  partial: Buffer | undefined;
  /** Whether the message came whole and is the one expected. */
  accepted: boolean;
}

/** Reads as much of answers as tells whether they are the ones expected. */
export class AnswerReader {
  readonly #accept: Accept;
  #goodTrailers = Buffer.alloc(0);

  constructor(accept: Accept) {
    this.#accept = accept;
  }

  /** Takes the payload of a DATA frame. */
  message(answer: Answer | undefined, bytes: Buffer, start: number, end: number): void {
    if (answer === undefined || start === end) return;
    if (answer.partial !== undefined) {
      bytes = Buffer.concat([answer.partial, bytes.subarray(start, end)]);
      start = 0;
      end = bytes.length;
    }
    const body = start + 5;
    if (end < body || bytes.readUInt32BE(start + 1) > end - body)
      answer.partial = Buffer.from(bytes.subarray(start, end));
    else answer.accepted = bytes.readUInt32BE(start + 1) === end - body && this.#accept(bytes, body, end);
  }

  /** Takes trailers. Answers what they say when it is anything but OK. */
  trailers(bytes: Buffer, start: number, end: number): string | undefined {
    // The same trailers come again and again: they are read once and then compared.
    if (this.#goodTrailers.length === end - start && this.#goodTrailers.compare(bytes, start, end) === 0)
      return undefined;
    const trailers = Buffer.from(bytes.subarray(start, end));
    if (!saysOk(trailers)) return `trailers ${JSON.stringify(trailers.toString("latin1"))}`;
    this.#goodTrailers = trailers;
    return undefined;
  }
}

// `grpc-status` and `0`, as they are and in the Huffman code of RFC 7541, appendix B.
const statusNames = [Buffer.from("\x0bgrpc-status", "latin1"), Buffer.from("889acac8b21234da8f", "hex")];
const zeros = [Buffer.from("\x010", "latin1"), Buffer.from("8107", "hex")];

/**
 * Whether a block of trailers says `grpc-status: 0`. Only for a peer that was told to keep no header table: its blocks
 * hold every field as a literal, so that nothing but the block itself is needed to read it.
 */
export function saysOk(trailers: Buffer): boolean {
  return statusNames.some((name) => {
    const at = trailers.indexOf(name);
    if (at < 0) return false;
    const value = trailers.subarray(at + name.length);
    return zeros.some((zero) => value.subarray(0, zero.length).equals(zero));
  });
}
