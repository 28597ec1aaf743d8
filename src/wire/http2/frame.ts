/** Bytes of a frame's header (RFC 9113, 4.1). */
export const frameHeaderBytes = 9;

/** The largest payload that every peer takes, and the largest that we take (RFC 9113, 4.2). */
export const maxPayloadBytes = 16_384;

/** The flow-control window that both sides begin with, and the largest there can be (RFC 9113, 6.9). */
export const initialWindow = 65_535;
export const maxWindow = 0x7fff_ffff;

/** What a client sends first (RFC 9113, 3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** RFC 9113, 6. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** RFC 9113, 6.5.2. */
export const setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** RFC 9113, 7. */
export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** The peer broke the protocol in a way that ends the connection (RFC 9113, 5.4.1). */
export class ConnectionError extends Error {
  readonly code: number;

  /** `code` is one of {@link errorCode}; the text is for our log. */
  constructor(code: number, message: string) {
    super(message);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** Four bytes as a number of 32 bits. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Four bytes without the first bit, which is reserved: a stream's id, or what is added to a window. */
export function uint31At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes a frame's header; gives the position behind it. */
export function putFrameHeader(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  id: number,
): number {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  putUint32(bytes, at + 5, id);
  return at + frameHeaderBytes;
}

/** A whole frame. */
export function frame(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  bytes.set(payload, putFrameHeader(bytes, 0, payload.length, type, flags, id));
  return bytes;
}

/** A SETTINGS frame of pairs of {@link setting} and value. */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length);
  for (const [i, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return frame(frameType.settings, 0, 0, payload);
}

/** A frame whose payload is numbers of 32 bits: WINDOW_UPDATE, RST_STREAM, GOAWAY. */
export function numbersFrame(type: number, id: number, ...numbers: number[]): Buffer {
  const payload = Buffer.alloc(4 * numbers.length);
  for (const [i, value] of numbers.entries()) putUint32(payload, 4 * i, value);
  return frame(type, 0, id, payload);
}

/** That a peer broke the protocol. */
export function broken(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocol, message);
}

/** Throws where a payload is not as long as frames of its type are. */
export function checkLength(length: number, expected: number): void {
  if (length !== expected) throw new ConnectionError(errorCode.frameSize, `a frame of ${length} bytes`);
}

/** How much padding ends a frame (RFC 9113, 6.1). */
export function paddingAt(bytes: Buffer, start: number, end: number): number {
  if (start === end) throw new ConnectionError(errorCode.frameSize, "a padded frame without a length");
  return bytes[start]!;
}
