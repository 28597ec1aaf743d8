/**
 * Times requests through proxies, as a process of its own: takes a {@link LatencyPlan} as JSON in its one argument,
 * prints a {@link LatencyResult} as JSON. Targets are asked in turn, slice by slice, each over HTTP/1.1 connections that
 * stay open. Requests start at the times of a plan, not when an answer makes room, so that a slow answer delays none of
 * those after it and hides none of the waiting.
 */
import { connect, type Socket } from "node:net";
import { seeded } from "./random.ts";

export interface LatencyPlan {
  readonly targets: readonly { readonly name: string; readonly address: string }[];
  readonly seed: number;
  /** How many different requests there are. */
  readonly count: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly warmMs: number;
  readonly rounds: number;
  readonly sliceMs: number;
}

export interface LatencyResult {
  /** Microseconds from when a request was due until its answer was there, ascending; of the warm-up none. */
  readonly targets: readonly { readonly name: string; readonly times: readonly number[]; readonly failed: number }[];
}

const agents = ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "okhttp/4.12.0"];

/** Different requests with the headers of a browser. */
function requests({ seed, count }: LatencyPlan): Buffer[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () => {
    const id = random.hex(32);
    const lines = [
      `GET /api/v1/${random.pick(["orders", "carts", "users"])}/${random.below(1_000_000)}?page=${random.below(50)} HTTP/1.1`,
      "host: shop.example",
      `user-agent: ${random.pick(agents)}`,
      "accept: application/json",
      "accept-encoding: gzip, deflate, br",
      "accept-language: en",
      "cache-control: no-cache",
      `cookie: session=${random.hex(64)}`,
      `authorization: Bearer ${random.hex(200)}`,
      `x-user: user-${random.below(5000)}`,
      `traceparent: 00-${id}-${random.hex(16)}-01`,
      `referer: https://shop.example/${random.hex(8)}`,
      "sec-fetch-mode: cors",
      "sec-fetch-site: same-origin",
      "dnt: 1",
    ];
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  });
}

/** One connection, with one request at a time. */
class Line {
  readonly #socket: Socket;
  #got = "";
  #answered: ((status: number) => void) | undefined;

  constructor(address: string) {
    const at = address.lastIndexOf(":");
    this.#socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
    this.#socket.setEncoding("latin1").on("data", (text: string) => this.#read(text));
    this.#socket.on("error", () => this.#end(0)).on("close", () => this.#end(0));
  }

  /** Resolves with the answer's status; 0 when the connection ended before. */
  ask(request: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#got += text;
    const head = this.#got.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#got)?.[1] ?? 0);
    if (this.#got.length < head + 4 + length) return;
    const status = Number(this.#got.slice(9, 12));
    this.#got = "";
    this.#end(status);
  }

  #end(status: number): void {
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.(status);
  }
}

interface Target {
  readonly name: string;
  readonly free: Line[];
  readonly lines: readonly Line[];
  readonly times: number[];
  failed: number;
}

/** Sends requests to a target as they fall due, for so long; those in flight at the end are waited for. */
async function slice(target: Target, plan: LatencyPlan, next: () => Buffer, ms: number): Promise<void> {
  const start = performance.now();
  const gap = 1000 / plan.perSecond;
  const total = Math.floor(ms / gap);
  const waiting: number[] = [];
  let sent = 0;
  let done = 0;
  await new Promise<void>((resolve) => {
    const send = (line: Line, due: number): void => {
      void line.ask(next()).then((status) => {
        if (status === 200) target.times.push((performance.now() - due) * 1000);
        else target.failed++;
        if (++done === total) resolve();
        const first = waiting.shift();
        if (first === undefined) target.free.push(line);
        else send(line, first);
      });
    };
    const tick = (): void => {
      for (const now = performance.now(); sent < total && start + sent * gap <= now; sent++) {
        const due = start + sent * gap;
        const line = target.free.pop();
        if (line === undefined) waiting.push(due);
        else send(line, due);
      }
      // Timers are too coarse for a plan of fractions of a millisecond.
      if (sent < total) setImmediate(tick);
    };
    tick();
  });
}

async function run(plan: LatencyPlan): Promise<LatencyResult> {
  const prepared = requests(plan);
  let at = 0;
  const next = (): Buffer => prepared[at++ % prepared.length]!;
  const targets = plan.targets.map(({ name, address }): Target => {
    const lines = Array.from({ length: plan.connections }, () => new Line(address));
    return { name, lines, free: [...lines], times: [], failed: 0 };
  });
  for (const target of targets) {
    await slice(target, plan, next, plan.warmMs);
    target.times.length = 0;
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const target of targets) await slice(target, plan, next, plan.sliceMs);
  }
  for (const { lines } of targets) for (const line of lines) line.close();
  return {
    targets: targets.map(({ name, times, failed }) => ({ name, times: times.sort((a, b) => a - b), failed })),
  };
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2]!) as LatencyPlan)) + "\n");
