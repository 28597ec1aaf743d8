import { crc32 } from "node:zlib";

/**
 * A segment is a file of records, one behind the other: the length of the content and its CRC-32 (IEEE, as in gzip), both
 * as 32 bits, little-endian; then the content. A record that was not written whole does not fit its checksum.
 */
export const recordHeadBytes = 8;

/** Content of a record that is longer is taken for a torn one. */
export const maxRecordBytes = 64 * 1024 * 1024;

/** Writes a record in front of what follows it in a buffer. Answers where it ends. */
export function writeRecord(target: Buffer, at: number, content: Uint8Array): number {
  target.writeUInt32LE(content.length, at);
  target.writeUInt32LE(crc32(content), at + 4);
  target.set(content, at + recordHeadBytes);
  return at + recordHeadBytes + content.length;
}

/**
 * The record that begins at a place: its content, `torn` where there is none that fits its checksum, or how many bytes
 * must be there before that can be said.
 */
export function readRecord(source: Buffer, at: number): Buffer | "torn" | number {
  if (source.length - at < recordHeadBytes) return recordHeadBytes;
  const length = source.readUInt32LE(at);
  if (length === 0 || length > maxRecordBytes) return "torn";
  const end = at + recordHeadBytes + length;
  if (source.length < end) return recordHeadBytes + length;
  const content = source.subarray(at + recordHeadBytes, end);
  return crc32(content) === source.readUInt32LE(at + 4) ? content : "torn";
}

const extension = ".wal";

/** The name of the segment whose first record has a number. */
export function segmentName(first: number): string {
  return `${String(first).padStart(16, "0")}${extension}`;
}

/** The number of the first record of a segment, or `undefined` when a file is none. */
export function segmentStart(name: string): number | undefined {
  return /^\d{16}\.wal$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}
