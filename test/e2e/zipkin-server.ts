import { freePort } from "./free-port.ts";
import { writeFolder } from "./hub.ts";
import { peers } from "./peers.ts";
import type { Gap } from "./programs.ts";
import { startProxy } from "./proxied-service.ts";

/** A span as Zipkin's API answers it. */
export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly name: string;
  readonly timestamp: number;
  readonly duration: number;
  readonly localEndpoint: { readonly serviceName: string };
  readonly remoteEndpoint?: { readonly serviceName?: string; readonly ipv4?: string; readonly port?: number };
  readonly tags?: Readonly<Record<string, string>>;
}

/** A Zipkin server that runs, with its store in memory. */
export interface ZipkinServer {
  readonly port: number;
  /** The spans of a trace, by start; `undefined` while it knows none. */
  trace(traceId: string): Promise<readonly ZipkinSpan[] | undefined>;
  /** The services that it has seen. */
  services(): Promise<readonly string[]>;
  dispose(): void;
}

/** Starts Zipkin's own server, or says how to get it. */
export async function startZipkin(): Promise<ZipkinServer | Gap> {
  const [java, jar] = await Promise.all([peers.java(), peers.zipkin()]);
  if ("gap" in java) return java;
  if ("gap" in jar) return jar;
  const port = await freePort();
  const program = { path: java.path, env: { ...java.env, QUERY_PORT: String(port), STORAGE_TYPE: "mem" } };
  // Less memory and a quicker start than by itself.
  const flags = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  const running = await startProxy(program, [...flags, "-jar", jar.path], { port, folder: await writeFolder({}) });
  const ask = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/api/v2/${path}`);
  return {
    port,
    async trace(traceId) {
      const response = await ask(`trace/${traceId}`);
      if (response.status !== 200) return undefined;
      const spans = (await response.json()) as ZipkinSpan[];
      return spans.sort((a, b) => a.timestamp - b.timestamp);
    },
    services: async () => (await (await ask("services")).json()) as string[],
    dispose: running.dispose,
  };
}
