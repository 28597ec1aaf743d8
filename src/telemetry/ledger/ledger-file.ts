import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { readRecord, recordHeadBytes, writeRecord } from "../buffer/segment.ts";

/** What a ledger begins with; a file that begins with something else is not ours to write. */
const mark = Buffer.from("weir ledger 1\n");
const headBytes = 4096;
const slotBytes = 64 * 1024;
const fileBytes = headBytes + 2 * slotBytes;
const sequenceBytes = 6;

/** The most bytes of one content. */
export const maxContentBytes = slotBytes - recordHeadBytes - sequenceBytes;

export interface OpenedLedgerFile {
  readonly file: LedgerFile;
  /** What was written last; `undefined` where nothing was, or none of it can be read. */
  readonly content: Uint8Array | undefined;
  /** Whether something was written of which nothing can be read. */
  readonly isBroken: boolean;
}

/**
 * A file of fixed size that holds one content, written again and again: into two slots by turns, each with its checksum and
 * the number of the write, so that the one before stays whole while one is written. All its blocks are there from the start: a
 * disk that fills up later does not matter.
 */
export class LedgerFile {
  readonly #handle: FileHandle;
  readonly #bytes = Buffer.alloc(slotBytes);
  #sequence: number;

  private constructor(handle: FileHandle, sequence: number) {
    this.#handle = handle;
    this.#sequence = sequence;
  }

  /** Opens the file, or makes it. Throws what the file system throws, and for a file that is no ledger. */
  static async open(path: string): Promise<OpenedLedgerFile> {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.alloc(fileBytes);
      if (size > 0) await handle.read(bytes, 0, fileBytes, 0);
      const isOurs = bytes.subarray(0, mark.length).equals(mark);
      // Where making it was cut off, there are zeros and no mark.
      if (!isOurs && (size > fileBytes || bytes.some((byte) => byte !== 0))) throw new Error(`${path} is no ledger`);
      const slots = [readSlot(bytes, 0), readSlot(bytes, 1)].filter((slot) => slot !== undefined);
      const last = slots.reduce<Slot | undefined>(
        (a, b) => (a !== undefined && a.sequence > b.sequence ? a : b),
        undefined,
      );
      const isBroken =
        last === undefined && isOurs && (size !== fileBytes || bytes.some((byte, at) => byte !== 0 && at >= headBytes));
      if (!isOurs || size !== fileBytes) await fill(handle, bytes);
      return { file: new LedgerFile(handle, last?.sequence ?? 0), content: last?.content, isBroken };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Writes a content of at most {@link maxContentBytes}. Not to be called before the last call has ended. */
  async write(content: Uint8Array): Promise<void> {
    const sequence = this.#sequence + 1;
    const numbered = Buffer.allocUnsafe(sequenceBytes + content.length);
    numbered.writeUIntLE(sequence, 0, sequenceBytes);
    numbered.set(content, sequenceBytes);
    const end = writeRecord(this.#bytes, 0, numbered);
    await writeWhole(this.#handle, this.#bytes.subarray(0, end), slotStart(sequence % 2));
    this.#sequence = sequence;
  }

  /** Resolves when the disk has what was written. */
  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

interface Slot {
  readonly sequence: number;
  readonly content: Uint8Array;
}

function slotStart(slot: number): number {
  return headBytes + slot * slotBytes;
}

function readSlot(bytes: Buffer, slot: number): Slot | undefined {
  const record = readRecord(bytes.subarray(slotStart(slot), slotStart(slot + 1)), 0);
  if (!Buffer.isBuffer(record) || record.length < sequenceBytes) return undefined;
  return { sequence: record.readUIntLE(0, sequenceBytes), content: record.subarray(sequenceBytes) };
}

/** Gives the file all its blocks, and its mark last. */
async function fill(handle: FileHandle, bytes: Buffer): Promise<void> {
  await writeWhole(handle, bytes.subarray(headBytes), headBytes);
  mark.copy(bytes);
  await writeWhole(handle, bytes.subarray(0, headBytes), 0);
}

/** Throws also where a disk had room for a part only, of which the system makes no error. */
async function writeWhole(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.length, at);
  if (bytesWritten < bytes.length) throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were written`);
}
