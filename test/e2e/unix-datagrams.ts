import { dirname } from "node:path";
import Module from "node:module";
import { peers } from "./peers.ts";
import type { Gap } from "./programs.ts";

/** Makes Unix datagram sockets known to this process and to those that it starts. */
export async function findUnixDatagrams(): Promise<Gap | undefined> {
  const found = await peers.unixDatagrams();
  if ("gap" in found) return found;
  process.env["NODE_PATH"] = dirname(dirname(found.path));
  // Node reads NODE_PATH when a process starts, and then by this.
  (Module as unknown as { _initPaths(): void })._initPaths();
  return undefined;
}
