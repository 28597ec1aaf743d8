import { open, readdir, stat, truncate, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { SegmentReader } from "./segment-reader.ts";
import { segmentName, segmentStart } from "./segment.ts";

/** One segment of a folder. */
export interface Segment {
  readonly path: string;
  /** The number of its first record. */
  readonly first: number;
  /** How many records it holds. */
  records: number;
  /** How many bytes of it are records. */
  bytes: number;
  /** When its last record was written, milliseconds since 1970. */
  writtenMs: number;
}

/** Opens files; tests hand in one whose disk is full. What it makes is for this user only: entries tell of people. */
export type OpenFile = (path: string, flags: string) => Promise<FileHandle>;

export const openFile: OpenFile = (path, flags) => open(path, flags, 0o600);

/**
 * Finds the segments of a folder, oldest first. A crash leaves the last one with a record that was not written whole:
 * it is cut off. Answers by how many bytes.
 */
export async function findSegments(folder: string): Promise<{ segments: Segment[]; torn: number }> {
  const starts = (await readdir(folder)).map(segmentStart).filter((start) => start !== undefined);
  starts.sort((a, b) => a - b);
  const segments: Segment[] = [];
  let torn = 0;
  for (const [i, first] of starts.entries()) {
    const path = join(folder, segmentName(first));
    const { size, mtimeMs } = await stat(path);
    const next = starts[i + 1];
    if (next !== undefined) {
      segments.push({ path, first, records: next - first, bytes: size, writtenMs: mtimeMs });
      continue;
    }
    const { records, bytes } = await countRecords(path, size);
    torn = size - bytes;
    if (torn > 0) await truncate(path, bytes);
    if (records === 0) await unlink(path);
    else segments.push({ path, first, records, bytes, writtenMs: mtimeMs });
  }
  return { segments, torn };
}

async function countRecords(path: string, size: number): Promise<{ records: number; bytes: number }> {
  const reader = new SegmentReader(await open(path, "r"));
  try {
    let records = 0;
    let bytes = 0;
    for (;;) {
      const record = await reader.next(size);
      if (record === undefined || record === "torn") return { records, bytes };
      records++;
      bytes = reader.offset;
    }
  } finally {
    await reader.close();
  }
}

/** Makes the names of a folder's files outlive the machine's end. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
