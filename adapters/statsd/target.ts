/**
 * What became of a datagram: it was handed on, as far as can be told; it is lost; or nobody took it, which is certain,
 * so that it may be sent again.
 */
export type Sent = "sent" | "lost" | "refused";

/** Where lines go. */
export interface Target {
  /** Whether there is somebody to send to. */
  isKnown(): boolean;
  /** Why nobody takes datagrams at the moment, as far as can be told. */
  unready(): string | undefined;
  /** Hands a datagram on, waiting while there is no room for it. Never rejects: one that is not sent is counted. */
  send(datagram: Uint8Array): Promise<Sent>;
  close(): Promise<void>;
}
