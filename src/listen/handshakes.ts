import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";

/** Connections whose handshake has not ended. Each costs a signature, and may come from anybody. */
const maxPending = 512;

export interface HandshakeOptions {
  /** Told why a connection came to nothing, but for peers that went away by themselves. */
  refused(reason: string, peer: string, error: HandshakeError | undefined): void;
  readonly maxPending?: number;
}

/** An error of TLS; `reason` is what OpenSSL says of it in words. */
export interface HandshakeError extends Error {
  readonly reason?: string;
}

/**
 * Watches over the handshakes of a TLS server: no more at once than it can bear, and every one that fails is told. Where
 * client certificates are optional, one that is not valid is refused rather than taken for none.
 *
 * @returns a function that gives up the handshakes that are under way
 */
export function watchHandshakes(server: Server, options: HandshakeOptions): () => void {
  /** By the peer's address, which the socket of TLS shares with the one below it. */
  const pending = new Map<string, Socket>();
  server.prependListener("connection", (socket: Socket) => {
    const peer = endOf(socket);
    if (pending.size >= (options.maxPending ?? maxPending)) {
      // The one that began first gives way: an honest handshake takes a moment, and who says nothing keeps nobody out.
      const [first, slow] = pending.entries().next().value!;
      pending.delete(first);
      options.refused("handshakes", addressOf(slow), undefined);
      slow.destroy();
    }
    pending.set(peer, socket);
    socket.once("close", () => {
      if (pending.get(peer) === socket) pending.delete(peer);
    });
  });
  server.on("tlsClientError", (error, socket) => {
    const peer = addressOf(socket);
    const reason = reasonOf(error, socket);
    // Node leaves a connection open whose handshake has timed out.
    socket.destroy();
    if (reason !== undefined) options.refused(reason, peer, error);
  });
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    pending.delete(endOf(socket));
    if (socket.authorized || socket.getPeerX509Certificate() === undefined) return;
    options.refused(certificateReason(authorizationCode(socket)), addressOf(socket), undefined);
    socket.destroy();
  });
  return () => {
    for (const socket of pending.values()) socket.destroy();
  };
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** The address of a peer. A socket of TLS that Node has closed by itself has forgotten it, the one below it has not. */
function addressOf(socket: Socket & { readonly _parent?: Socket }): string {
  return socket.remoteAddress ?? socket._parent?.remoteAddress ?? "unknown";
}

/** Why a handshake failed, in a word of ours; `undefined` for a peer that went away. */
function reasonOf(error: NodeJS.ErrnoException, socket: TLSSocket): string | undefined {
  // A certificate that is not taken is told by the socket; the error only says that the connection was closed.
  const code = authorizationCode(socket);
  if (code !== undefined) return certificateReason(code);
  if (error.code === "ECONNRESET" || error.code === "EPIPE") return undefined;
  return reasons.find(([pattern]) => pattern.test(error.code ?? ""))?.[1] ?? "handshake";
}

function authorizationCode(socket: TLSSocket): string | undefined {
  // Typed as an error, and a code in fact.
  const code: unknown = socket.authorizationError;
  return typeof code === "string" ? code : undefined;
}

function certificateReason(code: string | undefined): string {
  if (code === "CERT_HAS_EXPIRED") return "expired";
  return code === "CERT_NOT_YET_VALID" ? "not_yet_valid" : "untrusted";
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "no_certificate"],
  [/HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|BAD_RECORD_TYPE|NOT_SSL/, "plain_text"],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/, "protocol_version"],
  [/HANDSHAKE_TIMEOUT/, "timeout"],
  // The peer does not take the certificate that we serve.
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|UNSUPPORTED_CERTIFICATE)/,
    "peer_distrusts",
  ],
];
