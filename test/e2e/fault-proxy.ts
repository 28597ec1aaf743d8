import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/**
 * What becomes of a server's answers. `delays` holds each back for so many milliseconds; `cuts` sends half of one;
 * `losesAnswersTo` lets a request that has this text through, and resets its connection in place of the answer.
 */
export type Fault =
  | "none"
  | { readonly delays: number }
  | { readonly losesAnswersTo: string }
  | "is silent"
  | "refuses"
  | "resets"
  | "cuts";

/** A TCP proxy in front of a real server, with faults of the network between it and its clients. */
export interface FaultProxy {
  readonly port: number;
  /**
   * Lets a fault hold from now on. Answers that were held back by `is silent` come when it is over; connections are not
   * closed by it, unlike by `refuses` and `resets`.
   */
  become(fault: Fault): Promise<void>;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly held: Buffer[];
  isLost: boolean;
}

/** Starts a proxy for the server on that port of this machine. */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  let fault: Fault = "none";
  const pairs = new Set<Pair>();

  const listener = createServer({ noDelay: true }, (client) => {
    if (fault === "resets") {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { client, server, held: [], isLost: false };
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on("error", end).on("close", end);
    server.on("error", end).on("close", end);
    client.on("data", (bytes: Buffer) => {
      if (typeof fault === "object" && "losesAnswersTo" in fault) pair.isLost ||= bytes.includes(fault.losesAnswersTo);
      server.write(bytes);
    });
    server.on("data", (bytes: Buffer) => answered(pair, bytes));
  });

  function answered({ client, held, isLost }: Pair, bytes: Buffer): void {
    if (isLost) client.resetAndDestroy();
    else if (typeof fault === "object" && "delays" in fault)
      setTimeout(() => client.writable && client.write(bytes), fault.delays);
    else if (fault === "is silent") held.push(bytes);
    else if (fault === "cuts") client.write(bytes.subarray(0, bytes.length >> 1), () => client.resetAndDestroy());
    else client.write(bytes);
  }

  const listen = async (port: number): Promise<number> => {
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
    return (listener.address() as AddressInfo).port;
  };
  const port = await listen(0);

  async function become(next: Fault): Promise<void> {
    fault = next;
    if (next === "refuses") {
      const closed = once(listener, "close");
      listener.close();
      for (const { client } of pairs) client.destroy();
      await closed;
      return;
    }
    if (!listener.listening) await listen(port);
    if (next === "resets") for (const { client } of pairs) client.resetAndDestroy();
    if (next === "none") for (const { client, held } of pairs) for (const bytes of held.splice(0)) client.write(bytes);
  }

  return {
    port,
    become,
    async close() {
      if (fault !== "refuses") await become("refuses");
    },
  };
}
