import type { Host, Methods } from "weir/sdk";
import { encodeLogs } from "./encode-logs.ts";
import type { Notices } from "./notices.ts";
import type { Transport } from "./outcome.ts";

export interface LogExportOptions {
  readonly transport: Transport;
  readonly resource: Uint8Array;
  readonly scope: Uint8Array;
  readonly host: Host;
  readonly notices: Notices;
}

/**
 * Sends log entries, in as few requests as hold them. The hub's queue is the one that waits, tries again and tells of
 * failures; what the receiver took but for some records is not sent again.
 */
export function createLogExport({
  transport,
  resource,
  scope,
  host,
  notices,
}: LogExportOptions): Methods<never>["logs"] {
  return async (entries, { signal }) => {
    for (let delivered = 0; delivered < entries.length;) {
      const { message, end } = encodeLogs(entries, delivered, resource, scope);
      const outcome = await transport.send("logs", message, signal);
      if (outcome.kind !== "taken") {
        const { kind, reason } = outcome;
        const asked = kind === "retry" && outcome.afterMs !== undefined ? { retryAfterMs: outcome.afterMs } : {};
        return { delivered, retry: kind === "retry", reason, ...asked };
      }
      if (outcome.rejected > 0) host.count("log_records_rejected", Math.min(outcome.rejected, end - delivered));
      if (outcome.rejected > 0 || outcome.message !== "") notices.partial("logs", outcome.rejected, outcome.message);
      delivered = end;
    }
    return undefined;
  };
}
