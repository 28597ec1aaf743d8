import { request } from "node:http";
import type { ExecutionContext } from "ava";
import { createAuthzDoor } from "../../../src/wire/authz/authz-door.ts";
import { createHttpServer } from "../../../src/wire/http/http-server.ts";
import { fakeHub, type FakeHub } from "../grpc/fake-session.ts";
import { recordingLog, recordingObserver } from "../grpc/harness.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What a proxy sends: header lines as they stand, in order, repetitions too. */
export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
}

export interface Served {
  ask(asked: Asked): Promise<Answer>;
  readonly port: number;
  readonly hub: FakeHub;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
  /** Sets the door's clock. */
  at(ms: number): void;
}

/** The door at a listener of its own, with a hub whose decisions the test makes. */
export async function serveAuthz(t: ExecutionContext, behaviour: Parameters<typeof fakeHub>[0] = {}): Promise<Served> {
  const hub = fakeHub(behaviour);
  const observer = recordingObserver();
  const log = recordingLog();
  let nowMs = 0;
  const door = createAuthzDoor({ open: hub.open, observer, log, now: () => nowMs });
  const monotonic = () => performance.now();
  const server = createHttpServer({ doors: [door], limits: { messageBytes: 1024 }, observer, log, monotonic });
  const address = await server.listen("127.0.0.1:0");
  t.teardown(() => server.drain(AbortSignal.abort()));
  const port = Number(address.split(":")[1]);
  return { ask: (asked) => send(address, asked), port, hub, observer, log, at: (ms) => void (nowMs = ms) };
}

function send(address: string, { method = "GET", path, headers = [], body }: Asked): Promise<Answer> {
  const [hostname, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const lines = [["connection", "close"], ...headers].flat();
    if (!headers.some(([name]) => name.toLowerCase() === "host")) lines.push("host", "hub");
    const sent = request({ hostname, port, method, path, headers: lines as never, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
