import type { Duplex } from "node:stream";
import type { Timers } from "../../util/timers.ts";

/** How long a peer has to take our last words, and to hang up once it has them. */
const lastWordsMs = 20_000;
const lingerMs = 1000;

/**
 * Ends a socket and leaves it to the peer to hang up, for a while: one that is closed on unread bytes takes back its last
 * words. Answers what forgets about the while, for a socket that is closed.
 */
export function farewell(socket: Duplex, timers: Timers): () => void {
  let cancel: (() => void) | undefined;
  const destroyAfter = (ms: number): void => {
    cancel?.();
    if (!socket.destroyed) cancel = timers.after(ms, () => socket.destroy());
  };
  destroyAfter(lastWordsMs);
  socket.end(() => destroyAfter(lingerMs));
  socket.resume();
  return () => cancel?.();
}
