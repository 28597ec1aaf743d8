import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** How far above its port a node of a Redis cluster listens for the others. */
const busDistance = 10_000;

/**
 * A port of loopback that nothing listens on, for a program that cannot tell which one it took; the one 10,000 above it
 * is free too. Both lie below those that systems give to whoever asks for any, so that no other test gets them in the
 * meantime.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 22_000);
    if ((await isFree(port)) && (await isFree(port + busDistance))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
