import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { JournalRefusal } from "../../sdk/index.ts";
import type { Log } from "../../sdk/index.ts";
import { recordHeadBytes, segmentName, writeRecord } from "./segment.ts";
import { syncFolder, type OpenFile, type Segment } from "./segments.ts";

export interface DiskWriterOptions {
  readonly folder: string;
  /** A segment that has this size is followed by another one. */
  readonly segmentBytes: number;
  /** Whether a record is stored only when the disk has it, rather than the system's memory. */
  readonly sync: boolean;
  readonly open: OpenFile;
  readonly log: Log;
  readonly now: () => number;
  /** Told of each segment that begins. */
  readonly began: (segment: Segment) => void;
  /** Told when the current segment ended and none has begun yet. */
  readonly ended: () => void;
  /** Called when there is more to read. */
  readonly grew: () => void;
}

interface Waiting {
  readonly content: Uint8Array;
  readonly answer: (outcome: "stored" | JournalRefusal) => void;
}

/** For how long a disk that failed is left alone, in milliseconds. */
const restMs = 1000;

/**
 * Writes records, those that came in one turn, or while the last ones were written, with one write and one sync for all:
 * a disk that syncs a hundred times a second still takes thousands of calls.
 */
export class DiskWriter {
  readonly #options: DiskWriterOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #current: { readonly segment: Segment; readonly file: FileHandle } | undefined;
  #next: number;
  #failed: { readonly refusal: JournalRefusal; readonly untilMs: number } | undefined;
  #failing = false;

  /** @param next the number of the next record */
  constructor(options: DiskWriterOptions, next: number) {
    this.#options = options;
    this.#next = next;
  }

  /** Bytes that wait to be written. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The segment being written. */
  get current(): Segment | undefined {
    return this.#current?.segment;
  }

  /** Why the disk is not tried at the moment. */
  refusal(): JournalRefusal | undefined {
    if (this.#failed !== undefined && this.#options.now() >= this.#failed.untilMs) this.#failed = undefined;
    return this.#failed?.refusal;
  }

  append(content: Uint8Array): Promise<"stored" | JournalRefusal> {
    this.#waitingBytes += recordHeadBytes + content.length;
    return new Promise((answer) => {
      this.#waiting.push({ content, answer });
      this.#writing ??= new Promise<void>((resume) => setImmediate(resume)).then(() => this.#writeAll());
    });
  }

  /** Writes what waits, and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#current?.file.close();
    this.#current = undefined;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { group, bytes } = this.#take();
      let outcome: "stored" | JournalRefusal = "stored";
      try {
        await this.#write(group, bytes);
        if (this.#failing)
          this.#options.log.info({ folder: this.#options.folder }, "the disk of the buffer works again");
        this.#failing = false;
      } catch (error) {
        outcome = await this.#fail(error);
      }
      this.#waitingBytes -= bytes;
      for (const { answer } of group) answer(outcome);
      if (outcome === "stored") this.#options.grew();
    }
    this.#writing = undefined;
  }

  /** What is written together: no more than one segment's worth, so that segments stay small. */
  #take(): { readonly group: readonly Waiting[]; readonly bytes: number } {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < this.#options.segmentBytes)
      bytes += recordHeadBytes + this.#waiting[count++]!.content.length;
    return { group: this.#waiting.splice(0, count), bytes };
  }

  async #write(group: readonly Waiting[], bytes: number): Promise<void> {
    const { segment, file } = await this.#segment();
    const buffer = Buffer.allocUnsafe(bytes);
    let end = 0;
    for (const { content } of group) end = writeRecord(buffer, end, content);
    for (let written = 0; written < end;) {
      const { bytesWritten } = await file.write(buffer, written, end - written, segment.bytes + written);
      written += bytesWritten;
    }
    if (this.#options.sync) await file.datasync();
    segment.bytes += bytes;
    segment.records += group.length;
    segment.writtenMs = this.#options.now();
    this.#next += group.length;
  }

  async #segment(): Promise<{ readonly segment: Segment; readonly file: FileHandle }> {
    const { folder, segmentBytes, sync, open, began, now } = this.#options;
    if (this.#current !== undefined && this.#current.segment.bytes < segmentBytes) return this.#current;
    const path = join(folder, segmentName(this.#next));
    // One of this name would be what a failure left, of which nothing was said to be stored.
    const file = await open(path, "w");
    try {
      if (sync) await syncFolder(folder);
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#current?.file.close();
    const segment = { path, first: this.#next, records: 0, bytes: 0, writtenMs: now() };
    this.#current = { segment, file };
    began(segment);
    return this.#current;
  }

  /**
   * What a failed write left behind is cut off, or written over by the next one. The segment ends there: after a failed sync
   * nobody knows what the disk has, and what was read of it meanwhile stays true; and on a full disk its room must come back
   * as soon as every reader has done with it, since it will not grow to the size at which another one follows.
   */
  async #fail(error: unknown): Promise<JournalRefusal> {
    const { code } = error as NodeJS.ErrnoException;
    const refusal = code === "ENOSPC" || code === "EDQUOT" ? "full" : "away";
    this.#failed = { refusal, untilMs: this.#options.now() + restMs };
    if (!this.#failing) this.#options.log.error({ err: error }, "the buffer could not be written");
    this.#failing = true;
    const current = this.#current;
    if (current === undefined) return refusal;
    try {
      await current.file.truncate(current.segment.bytes);
    } catch {
      // It is written over, or found torn at the next start.
    }
    if (current.segment.records > 0) {
      await current.file.close().catch(() => undefined);
      this.#current = undefined;
      this.#options.ended();
    }
    return refusal;
  }
}
