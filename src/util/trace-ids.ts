import { randomHex } from "./random-hex.ts";

/** Makes identifiers that nobody else has. */
export interface TraceIds {
  /** 32 hexadecimal digits. */
  trace(): string;
  /** 16 hexadecimal digits. */
  span(): string;
}

/** @param random gives that many bytes that nobody can guess, such as `crypto.randomBytes` */
export function createTraceIds(random: (bytes: number) => Uint8Array): TraceIds {
  return { trace: randomHex(random, 16), span: randomHex(random, 8) };
}
