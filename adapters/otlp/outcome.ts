/**
 * What became of one request (OTLP 1.5, "OTLP/HTTP Response" and "OTLP/gRPC Response"):
 *
 * - `taken`: the receiver has it, but for `rejected` records, spans or points of it, which are never sent again.
 * - `retry`: it may be sent again, not before `afterMs` where the receiver said so.
 * - `refused`: sending it again would be of no use.
 */
export type Outcome =
  | { readonly kind: "taken"; readonly rejected: number; readonly message: string }
  | { readonly kind: "retry"; readonly reason: string; readonly afterMs?: number }
  | { readonly kind: "refused"; readonly reason: string };

/** What is sent. A signal has a path over HTTP and a service over gRPC of its own. */
export type SignalName = "metrics" | "logs" | "traces";

/** The way to a receiver. */
export interface Transport {
  /** Sends one request. Never rejects. An aborted `signal` ends it with `retry`. */
  send(signalName: SignalName, message: Uint8Array, signal: AbortSignal): Promise<Outcome>;
  close(): void;
}

/** The longest text of a receiver that is shown. */
const maxText = 300;

/** A text that a receiver wrote, for the log: of one line, and not too long. */
export function receiverText(text: string): string {
  return text.replace(/\p{C}+/gu, " ").slice(0, maxText);
}
