import type { Call, Exported, Host } from "weir/sdk";
import type { Notices } from "./notices.ts";
import type { SignalName, Transport } from "./outcome.ts";

export interface BatchExportOptions<T> {
  readonly signalName: SignalName;
  /** How what the receiver rejects is counted. */
  readonly rejectedEvent: string;
  /** As much of a batch as one request holds, from an index on, and the index after its last. */
  readonly encode: (batch: readonly T[], from: number) => { readonly message: Uint8Array; readonly end: number };
  readonly transport: Transport;
  readonly host: Host;
  readonly notices: Notices;
}

/**
 * Sends batches of log entries or spans, in as few requests as hold them. The hub's queue is the one that waits, tries
 * again and tells of failures; what the receiver took but for some of it is not sent again.
 */
export function createBatchExport<T>({
  signalName,
  rejectedEvent,
  encode,
  transport,
  host,
  notices,
}: BatchExportOptions<T>): (batch: readonly T[], call: Call) => Promise<Exported> {
  return async (batch, { signal }) => {
    for (let delivered = 0; delivered < batch.length;) {
      const { message, end } = encode(batch, delivered);
      const outcome = await transport.send(signalName, message, signal);
      if (outcome.kind !== "taken") {
        const { kind, reason } = outcome;
        const asked = kind === "retry" && outcome.afterMs !== undefined ? { retryAfterMs: outcome.afterMs } : {};
        return { delivered, retry: kind === "retry", reason, ...asked };
      }
      if (outcome.rejected > 0) host.count(rejectedEvent, Math.min(outcome.rejected, end - delivered));
      if (outcome.rejected > 0 || outcome.message !== "")
        notices.partial(signalName, outcome.rejected, outcome.message);
      delivered = end;
    }
    return undefined;
  };
}
