import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { freePort } from "./free-port.ts";
import { writeFolder } from "./hub.ts";
import { peers } from "./peers.ts";
import type { Gap } from "./programs.ts";
import { startProxy } from "./proxied-service.ts";

/** A statsd that runs, and forgets nothing while a test lasts. */
export interface StatsdServer {
  readonly port: number;
  /** What its administration shows under a name, such as `counters`, `gauges` and `timers`. */
  shown(what: string): Promise<Readonly<Record<string, unknown>>>;
  dispose(): void;
}

/** Starts the statsd that the name comes from, on UDP or on a Unix stream socket, or says how to get it. */
export async function startStatsd(port?: number, socket?: string): Promise<StatsdServer | Gap> {
  const found = await peers.statsd();
  if ("gap" in found) return found;
  const admin = await freePort();
  const own = port ?? (await freePort());
  const config = {
    ...(socket === undefined ? { address: "127.0.0.1", port: own } : { server: "./servers/tcp", socket }),
    ...{ mgmt_address: "127.0.0.1", mgmt_port: admin },
    ...{ backends: [], flushInterval: 3_600_000 },
  };
  const folder = await writeFolder({ "config.js": JSON.stringify(config) });
  const program = { path: process.execPath, env: found.env };
  const running = await startProxy(program, [found.path, join(folder, "config.js")], { port: admin, folder });
  return {
    port: own,
    async shown(what) {
      const socket = connect(admin, "127.0.0.1");
      let text = "";
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.includes("END\n")) socket.end();
      });
      socket.write(`${what}\n`);
      await once(socket, "close");
      // What util.inspect writes is an expression of JavaScript, and no JSON.
      return runInNewContext(`(${text.slice(0, text.indexOf("END\n"))})`) as Readonly<Record<string, unknown>>;
    },
    dispose: running.dispose,
  };
}
