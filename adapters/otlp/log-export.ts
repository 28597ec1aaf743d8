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
 * Sends log entries, one request a batch. The hub's queue is the one that waits, tries again and tells of failures; what
 * the receiver took but for some records is not sent again.
 */
export function createLogExport({
  transport,
  resource,
  scope,
  host,
  notices,
}: LogExportOptions): Methods<never>["logs"] {
  return async (entries, { signal }) => {
    if (entries.length === 0) return;
    const outcome = await transport.send("logs", encodeLogs(entries, resource, scope), signal);
    if (outcome.kind === "taken") {
      if (outcome.rejected > 0) host.count("log_records_rejected", Math.min(outcome.rejected, entries.length));
      if (outcome.rejected > 0 || outcome.message !== "") notices.partial("logs", outcome.rejected, outcome.message);
      return;
    }
    const { kind, reason } = outcome;
    const asked = kind === "retry" && outcome.afterMs !== undefined ? { retryAfterMs: outcome.afterMs } : {};
    return { delivered: 0, retry: kind === "retry", reason, ...asked };
  };
}
