import { randomBytes } from "node:crypto";
import type { Settings } from "../policy/config/settings.ts";
import type { Instance, Journal, JournalState } from "../sdk/index.ts";
import { openDiskJournal, type DiskJournalOptions } from "../telemetry/buffer/disk-journal.ts";
import type { BufferCounts } from "../telemetry/buffer/record-buffer.ts";
import type { OutletsOptions } from "../telemetry/outlets.ts";

/** Where records wait for exporters beside memory, as `telemetry.buffer` of `weir.yaml` says. */
export interface Buffer {
  /** For the report rules of one snapshot, by its instances; `undefined` where records wait in memory. */
  journalOf(instanceOf: (adapter: string) => Instance): OutletsOptions["journal"];
  /** How full it is, where there is one that knows. */
  state(): JournalState | undefined;
  close(): Promise<void>;
}

export interface BufferOptions extends Pick<DiskJournalOptions, "observer" | "log" | "now" | "timers"> {
  readonly settings: Pick<Settings["telemetry"], "buffer" | "maxAgeMs">;
  readonly counts: BufferCounts;
}

/** Opens what belongs to the hub itself. Rejects when a folder cannot be used. */
export async function openBuffer({ settings, counts, ...options }: BufferOptions): Promise<Buffer> {
  const { buffer, maxAgeMs } = settings;
  const disk = buffer.kind === "disk" ? await openDiskJournal({ ...buffer, maxAgeMs, ...options }) : undefined;
  const batchPrefix = randomBytes(12).toString("base64url");
  let batches = 0;
  const nextId = (): string => `${batchPrefix}-${batches++}`;
  let current: Journal | undefined;
  return {
    journalOf(instanceOf) {
      current = buffer.kind === "journal" ? instanceOf(buffer.adapter).journal!() : disk;
      return current && { journal: current, counts, nextId };
    },
    state: () => current?.state?.(),
    close: async () => disk?.close(),
  };
}
