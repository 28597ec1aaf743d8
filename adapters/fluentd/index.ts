import { defineAdapter } from "weir/sdk";
import { readTls } from "weir/sdk/zod";
import { encodeChunks, type Chunk } from "./chunk.ts";
import { fluentdConfig } from "./config.ts";
import { openConnection, type Connection } from "./connection.ts";
import { readCredentials } from "./secrets.ts";

/** Forwards log entries to Fluentd, Fluent Bit, or whatever else speaks the forward protocol. */
export default defineAdapter({
  name: "fluentd",
  description: "log entries to Fluentd, Fluent Bit, or whatever else speaks the forward protocol",
  provides: ["logs"],
  config: fluentdConfig,
  async create(config, host) {
    const { endpoint, timeout } = config;
    const credentials = await readCredentials(config, host.folder);
    const tls = await readTls(config.tls, host.folder);
    let connection: Connection | undefined;

    return {
      async logs(entries, { signal }) {
        for (let delivered = 0; delivered < entries.length;) {
          const chunks = await encodeChunks(entries, delivered, config);
          const reused = connection?.alive() === true;
          if (connection === undefined || !reused) connection = openConnection({ endpoint, tls, credentials });
          const { taken, reason, gaveUp } = await sendAll(connection, chunks, signal, timeout);
          delivered = chunks[taken - 1]?.end ?? delivered;
          if (reason === undefined) continue;
          // A server may close a connection that is idle, or each after one chunk: that is no failure of it.
          if (!gaveUp && (taken > 0 || reused)) continue;
          return { delivered, retry: true, reason };
        }
        return undefined;
      },
      close() {
        connection?.close("the instance is closed");
      },
    };
  },
});

interface Sent {
  /** How many chunks, from the first on, were acknowledged. */
  readonly taken: number;
  /** Why the others were not. */
  readonly reason?: string;
  /** Whether that is because time was up. */
  readonly gaveUp: boolean;
}

/** Sends chunks at once and waits for their acknowledgements. When time is up the connection ends, since they may still come. */
async function sendAll(
  connection: Connection,
  chunks: readonly Chunk[],
  signal: AbortSignal,
  timeoutMs: number,
): Promise<Sent> {
  let gaveUp = false;
  const giveUp = (reason: string): void => {
    gaveUp = true;
    connection.close(reason);
  };
  const aborted = (): void => giveUp("the call was given up");
  const timer = setTimeout(() => giveUp(`no acknowledgement within ${timeoutMs} ms`), timeoutMs);
  signal.addEventListener("abort", aborted);
  if (signal.aborted) aborted();
  const results = await Promise.allSettled(chunks.map((chunk) => connection.send(chunk)));
  clearTimeout(timer);
  signal.removeEventListener("abort", aborted);
  const taken = results.findIndex(({ status }) => status === "rejected");
  if (taken === -1) return { taken: chunks.length, gaveUp };
  return { taken, reason: ((results[taken] as PromiseRejectedResult).reason as Error).message, gaveUp };
}
